import { setTimeout as sleep } from 'node:timers/promises';
import { watch as watchFiles } from 'chokidar';
import type { ApiClient } from '../machinery/client/client.ts';
import { type AppliedObject, type ApplyResult, applyDocument, locate } from './apply.ts';
import { type ManifestDocument, type ManifestError, readManifests } from './documents.ts';
import { createInventory, type InventoryEntry, inventoryId } from './inventory.ts';
import { createRestMapper, type RestMapper } from './mapping.ts';

export type DirectoryEvent =
  | { type: ApplyResult | 'pruned'; kind: string; namespace?: string; name: string; source: string }
  | { type: 'error'; place: string; message: string }
  | { type: 'synced'; applied: number; errors: number };

export interface DirectoryOptions {
  client: ApiClient;
  /** Absolute path of a directory of manifests, or of one file. */
  directory: string;
  onEvent: (event: DirectoryEvent) => void;
}

/** Kinds that others need come first; deletion runs the other way round. */
const FIRST_KINDS = [
  'Namespace',
  'CustomResourceDefinition',
  'ServiceAccount',
  'Secret',
  'ConfigMap',
  'FrameworkRole',
  'Volume',
];
/** Editors write a file in several steps: changes this close together are one. */
const SETTLE_MS = 200;
const RETRY_MS = 5_000;

/**
 * Applies a directory once: every good document is applied, what an earlier pass applied and no file declares any more is deleted.
 * A broken file is reported and its earlier objects are kept; the rest goes on.
 */
export async function syncDirectory({
  client,
  directory,
  onEvent,
}: DirectoryOptions): Promise<{ applied: number; errors: number }> {
  const { documents, errors } = await readManifests(directory);
  for (const error of errors) onEvent({ type: 'error', place: error.place, message: error.message });
  const mapper = createRestMapper(client);
  const inventory = createInventory(client, directory);
  const before = await inventory.read();
  const entries: InventoryEntry[] = [];
  const broken = new Set(errors.map((error) => error.file));
  const ordered = byDependency(documents);
  const noted = new Map(before.map((entry) => [inventoryId(entry), entry]));
  for (const [index, document] of ordered.entries()) {
    try {
      const { resource, key, result } = await applyDocument(client, mapper, document, async () => {
        const missing = await missingObjects(client, mapper, ordered.slice(index), noted);
        if (missing.length === 0) return;
        for (const entry of missing) noted.set(inventoryId(entry), entry);
        await inventory.write([...noted.values()]);
      });
      entries.push(entryOf({ resource, key }, document));
      onEvent({ type: result, kind: resource.kind, ...key, source: document.source });
    } catch (error) {
      broken.add(document.file);
      errors.push({ file: document.file, place: document.source, message: (error as Error).message });
      onEvent({ type: 'error', place: document.source, message: (error as Error).message });
    }
  }
  entries.push(...(await prune(client, before, entries, broken, onEvent)));
  await inventory.write(entries);
  const summary = { applied: documents.length - countRefused(errors, documents), errors: errors.length };
  onEvent({ type: 'synced', ...summary });
  return summary;
}

/** Applies a directory and keeps it applied while its files change, until the signal aborts. Failed documents are tried again every 5 s. */
export async function followDirectory(options: DirectoryOptions, signal: AbortSignal): Promise<void> {
  let changed = Promise.withResolvers<void>();
  const watcher = watchFiles(options.directory, {
    ignoreInitial: true,
    ignored: (path) => /(^|\/)\.[^/.]/.test(path.slice(options.directory.length)),
  });
  watcher.on('all', () => changed.resolve());
  signal.addEventListener('abort', () => changed.resolve(), { once: true });
  try {
    while (!signal.aborted) {
      changed = Promise.withResolvers<void>();
      let errors: number;
      try {
        ({ errors } = await syncDirectory(options));
      } catch (error) {
        options.onEvent({ type: 'error', place: options.directory, message: (error as Error).message });
        errors = 1;
      }
      await Promise.race([
        changed.promise,
        ...(errors > 0 ? [sleep(RETRY_MS, undefined, { signal }).catch(() => {})] : []),
      ]);
      if (!signal.aborted) await sleep(SETTLE_MS, undefined, { signal }).catch(() => {});
    }
  } finally {
    await watcher.close();
  }
}

/**
 * What is about to be created and not in the inventory yet. It is noted there first, all at once: what a pass that was killed had created would be
 * nobody's otherwise, and never be pruned. An object that was there before us is noted when the pass is over.
 */
async function missingObjects(
  client: ApiClient,
  mapper: RestMapper,
  documents: ManifestDocument[],
  noted: ReadonlyMap<string, InventoryEntry>,
): Promise<InventoryEntry[]> {
  const missing = documents.map(async (document) => {
    // Of a kind that comes with a document before it: it is looked at again when it is its turn.
    const located = await locate(mapper, document).catch(() => undefined);
    if (located === undefined) return [];
    const entry = entryOf(located, document);
    if (noted.has(inventoryId(entry)) || (await client.get(located.resource, located.key))) return [];
    return [entry];
  });
  return (await Promise.all(missing)).flat();
}

function entryOf(
  { resource, key }: Pick<AppliedObject, 'resource' | 'key'>,
  { file }: ManifestDocument,
): InventoryEntry {
  const { group, version, plural, kind, namespaced } = resource;
  return { group, version, plural, kind, namespaced, ...key, file };
}

async function prune(
  client: ApiClient,
  before: InventoryEntry[],
  now: InventoryEntry[],
  broken: Set<string>,
  onEvent: DirectoryOptions['onEvent'],
): Promise<InventoryEntry[]> {
  const declared = new Set(now.map(inventoryId));
  const kept: InventoryEntry[] = [];
  for (const entry of before.toReversed()) {
    if (declared.has(inventoryId(entry))) continue;
    if (broken.has(entry.file)) {
      kept.push(entry);
      continue;
    }
    const { namespace, name } = entry;
    await client.delete(entry, { name, ...(namespace ? { namespace } : {}) }, { propagationPolicy: 'Background' });
    onEvent({ type: 'pruned', kind: entry.kind, ...(namespace ? { namespace } : {}), name, source: entry.file });
  }
  return kept;
}

function byDependency(documents: ManifestDocument[]): ManifestDocument[] {
  const rank = (document: ManifestDocument) => {
    const index = FIRST_KINDS.indexOf(document.object.kind);
    return index < 0 ? FIRST_KINDS.length : index;
  };
  return documents.toSorted((a, b) => rank(a) - rank(b));
}

function countRefused(errors: ManifestError[], documents: ManifestDocument[]): number {
  const sources = new Set(documents.map((document) => document.source));
  return errors.filter((error) => sources.has(error.place)).length;
}
