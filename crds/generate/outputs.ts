/** Everything that is generated from crds/sources, as texts by path: written by main.ts, compared with the files by a test. */
import { join } from 'node:path';
import { stringify } from 'yaml';
import { compose, type SchemaNode, withoutMarkers } from './compose.ts';
import { printReference } from './reference.ts';
import { printTypes } from './types.ts';

const FOLDER = join(import.meta.dirname, '..');
export const KINDS = ['framework', 'task', 'volume', 'agent', 'frameworkrole'] as const;

/** Texts by path relative to the repository. */
export function generate(): Map<string, string> {
  const crds = KINDS.map((kind) => compose(join(FOLDER, 'sources', `${kind}.yaml`)));
  const outputs = new Map<string, string>();
  for (const crd of crds) {
    const { names } = crd.spec as { names: { plural: string; singular: string } };
    outputs.set(`crds/tepui.dev_${names.plural}.yaml`, printCrd(crd));
    outputs.set(`docs/reference/kinds/${names.singular}.md`, printReference(crd));
  }
  outputs.set('crds/crds.generated.json', `${JSON.stringify(crds.map(withoutMarkers))}\n`);
  outputs.set('crds/types.generated.ts', printTypes(crds.map(schemaOf)));
  return outputs;
}

function printCrd(crd: SchemaNode): string {
  const yaml = stringify(withoutMarkers(crd), { lineWidth: 0, aliasDuplicateObjects: false });
  return `# Generated from crds/sources by \`npm run generate\`. Do not edit.\n${yaml}`;
}

function schemaOf(crd: SchemaNode): SchemaNode {
  const { versions } = crd.spec as { versions: { schema: { openAPIV3Schema: SchemaNode } }[] };
  return versions[0]!.schema.openAPIV3Schema;
}
