import type { ResourceDefinition } from '../resources/definition.ts';
import { type IncludeObject, toTable } from '../table/table.ts';
import { encodeObject, type Representation } from '../watch/representation.ts';
import { encodePosition, type Page } from '../watch/snapshot.ts';
import type { ResponseForm } from './negotiation.ts';
import type { Answer } from './respond.ts';

const comma = Buffer.from(',');
const close = Buffer.from(']}');

/** A list in one of the forms. Stored bytes are joined, not encoded again. */
export function listAnswer(
  definition: ResourceDefinition,
  page: Page,
  form: ResponseForm,
  representation: Representation,
  includeObject: IncludeObject,
): Answer {
  const metadata = {
    resourceVersion: String(page.revision),
    ...(page.next && { continue: encodePosition(page.next) }),
    ...(page.remaining !== undefined && { remainingItemCount: page.remaining }),
  };
  if (form.as === 'Table') {
    const own = definition.storage?.fromStored;
    const objects = page.entries.map(({ object }) => (own ? own(object) : object));
    const table = toTable(definition, objects, { includeObject, listMeta: metadata });
    return { status: 200, json: [Buffer.from(JSON.stringify(table))], media: form.media };
  }
  const [kind, apiVersion] =
    form.as === 'PartialObjectMetadata'
      ? ['PartialObjectMetadataList', 'meta.k8s.io/v1']
      : [definition.listKind, definition.group ? `${definition.group}/${definition.version}` : definition.version];
  const head = JSON.stringify({ kind, apiVersion, metadata });
  const pieces: Buffer[] = [Buffer.from(`${head.slice(0, -1)},"items":[`)];
  for (const [index, entry] of page.entries.entries()) {
    if (index > 0) pieces.push(comma);
    pieces.push(encodeObject(entry, representation));
  }
  pieces.push(close);
  return { status: 200, json: pieces, media: form.media };
}
