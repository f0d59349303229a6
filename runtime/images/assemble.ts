/** From a source to an image in the store: choose the manifest for this machine, read the configuration, bring the layers that are missing. */

import { attributeLayer } from './attribute-layer.ts';
import { type Descriptor, type Manifest, ManifestInvalid, parseManifest } from './descriptor.ts';
import { parseImageDocument } from './image-document.ts';
import type { ImageSource } from './image-source.ts';
import type { StackedLayer } from './layered-files.ts';
import { type Platform, selectManifest } from './platform.ts';
import type { ImageRecord } from './store/image-table.ts';
import type { LayerStore } from './store/layer-store.ts';
import { makeEntries } from './unpack/make-entries.ts';

export interface Assembly {
  source: ImageSource;
  platform: Platform;
  layers: LayerStore;
  binary: string;
  /** Makes the layer present. `onBytes` counts compressed bytes as they come. */
  bringLayer(
    descriptor: Descriptor,
    diffId: string,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /** Layers that must not be removed while the image is put together. */
  pin(diffIds: string[]): () => void;
  /** Called with the room that is needed, before anything comes. */
  onManifest?: (neededBytes: number) => Promise<void>;
  onProgress(doneBytes: number, totalBytes: number): void;
  signal: AbortSignal;
}

const MOST_INDEXES = 3;

/** Rejects with SourceFailed, ManifestInvalid, LayerRefused or UnpackFailed. `known` is an image that is already here. */
export async function assembleImage(
  assembly: Assembly,
  topDigest: string | undefined,
  known: (digest: string) => ImageRecord | undefined,
): Promise<{ image: ImageRecord; topDigest: string }> {
  const { source, platform, signal } = assembly;
  const top = await source.manifest(topDigest, signal);
  const { manifest, digest } = await findManifest(assembly, top);
  const here = known(digest);
  if (here !== undefined) return { image: here, topDigest: top.digest };
  const configBytes = await source.smallBlob(manifest.config, signal);
  const { config, diffIds } = parseImageDocument(configBytes, manifest.layers.length, platform);
  const unpin = assembly.pin(diffIds);
  try {
    await bringLayers(assembly, manifest, diffIds);
    return { image: { digest, config, stack: await stackOf(assembly, diffIds) }, topDigest: top.digest };
  } finally {
    unpin();
  }
}

async function findManifest(
  { source, platform, signal }: Assembly,
  top: { bytes: Buffer; digest: string },
): Promise<{ manifest: Manifest; digest: string }> {
  let document = top;
  for (let depth = 0; depth <= MOST_INDEXES; depth++) {
    const parsed = parseManifest(document.bytes, depth === 0 ? 'its manifest' : `manifest ${document.digest}`);
    if (parsed.kind === 'manifest') return { manifest: parsed, digest: document.digest };
    document = await source.manifest(selectManifest(parsed.manifests, platform).digest, signal);
  }
  throw new ManifestInvalid('its indexes lead to each other without end');
}

async function bringLayers(assembly: Assembly, { layers }: Manifest, diffIds: string[]): Promise<void> {
  const wanted = new Map<string, Descriptor>();
  for (const [index, diffId] of diffIds.entries()) wanted.set(diffId, layers[index]!);
  const total = [...wanted.values()].reduce((sum, { size }) => sum + size, 0);
  const missing = [...wanted].filter(([diffId]) => !assembly.layers.has(diffId));
  const missingBytes = missing.reduce((sum, [, { size }]) => sum + size, 0);
  let done = total - missingBytes;
  assembly.onProgress(done, total);
  if (missing.length === 0) return;
  await assembly.onManifest?.(missing.reduce((sum, [, descriptor]) => sum + unpackedBytes(descriptor), 0));
  // The first failure ends the others: nothing of them is of use without it.
  const abort = new AbortController();
  const signal = AbortSignal.any([assembly.signal, abort.signal]);
  const brought = missing.map(async ([diffId, descriptor]) => {
    let counted = 0;
    const count = (bytes: number): void => {
      counted += bytes;
      done += bytes;
      assembly.onProgress(done, total);
    };
    await assembly.bringLayer(descriptor, diffId, count, signal);
    // Somebody else's download is not counted piece by piece.
    count(descriptor.size - counted);
  });
  try {
    await Promise.all(brought);
  } catch (error) {
    abort.abort(error);
    await Promise.allSettled(brought);
    throw error;
  }
}

/** A guess: compressed layers are a third of their size as a rule. */
function unpackedBytes({ mediaType, size }: Descriptor): number {
  return /gzip|zstd/.test(mediaType) ? size * 3 : size;
}

/** The uppermost first, with what mends attributes of directories in between. */
async function stackOf({ layers, binary }: Assembly, diffIds: string[]): Promise<string[]> {
  const stack: string[] = [];
  for (const diffId of diffIds) {
    const implied = layers.get(diffId)?.implied ?? [];
    const mending = stack.length === 0 ? undefined : await attributeLayer(implied, stackedLayers(layers, stack));
    // The same layer twice is of use only where it is uppermost; overlayfs refuses the second.
    const at = stack.indexOf(diffId);
    if (at >= 0) stack.splice(at, 1);
    stack.unshift(diffId);
    if (mending === undefined || stack.includes(mending.id)) continue;
    if (!layers.has(mending.id)) await makeLayer(layers, binary, mending.id, mending.records);
    stack.unshift(mending.id);
  }
  if (stack.length > 0) return stack;
  // An image without layers still has a root.
  if (!layers.has(EMPTY)) await makeLayer(layers, binary, EMPTY, []);
  return [EMPTY];
}

const EMPTY = 'attributes:empty';

async function makeLayer(
  layers: LayerStore,
  binary: string,
  id: string,
  records: Parameters<typeof makeEntries>[2],
): Promise<void> {
  await layers.add(id, async (directory) => {
    await makeEntries(binary, directory, records);
    return { entries: records.length, bytes: 0, implied: [], opaque: [], leftOut: 0 };
  });
}

/** Layers of the store, for looking into them. */
export function stackedLayers(layers: LayerStore, stack: string[]): StackedLayer[] {
  return stack.map((id) => ({ directory: layers.path(id), opaque: new Set(layers.get(id)?.opaque) }));
}
