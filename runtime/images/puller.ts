/** Brings an image here, or finds that it is: once for all who want it at the same time. */
import { createHash } from 'node:crypto';
import { assembleImage } from './assemble.ts';
import type { Collector } from './collector.ts';
import { ImageNotPresent } from './errors.ts';
import { fileSource } from './files/file-source.ts';
import type { ImageSource } from './image-source.ts';
import type { ImageProgress, PullPolicy } from './images.ts';
import type { Platform } from './platform.ts';
import { createProgress } from './progress.ts';
import { describePullFailure } from './pull-failure.ts';
import { defaultPullPolicy } from './pull-policy.ts';
import { formatReference, type ImageReference, parseReference } from './reference.ts';
import type { RegistryCredentials } from './registry/credentials.ts';
import type { RegistriesSettings } from './registry/settings.ts';
import { registrySource } from './registry/source.ts';
import type { Transport } from './registry/transport.ts';
import { createSharedWork } from './shared-work.ts';
import { createSlots } from './slots.ts';
import type { ImageRecord, ImageTable } from './store/image-table.ts';
import type { LayerStore } from './store/layer-store.ts';
import { unpackLayer } from './unpack/unpack-layer.ts';

export interface PullerOptions {
  binary: string;
  layers: LayerStore;
  table: ImageTable;
  collector: Collector;
  transport: Transport;
  platform: Platform;
  settings(): Promise<RegistriesSettings>;
  maxLayerBytes: number;
  parallelLayers: number;
  retryDelaysMs?: number[] | undefined;
  onProblem(error: Error): void;
}

export interface Wanted {
  reference: string;
  pullPolicy?: PullPolicy | undefined;
  credentials?: RegistryCredentials[] | undefined;
  allowedPaths?: string[] | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: ImageProgress) => void) | undefined;
}

export interface Puller {
  /** The image and its full reference. Rejects with ImageReferenceInvalid, ImageNotPresent, ImagePullFailed, or the signal's reason. */
  ensure(wanted: Wanted): Promise<{ name: string; image: ImageRecord }>;
  /** Ends all pulls. */
  close(): Promise<void>;
}

export function createPuller(options: PullerOptions): Puller {
  const { binary, layers, table, collector, transport, platform, maxLayerBytes, onProblem } = options;
  const imageWork = createSharedWork<ImageRecord>();
  const layerWork = createSharedWork<void>();
  const slots = createSlots(options.parallelLayers);
  const progress = createProgress();

  async function ensure(wanted: Wanted): Promise<{ name: string; image: ImageRecord }> {
    const settings = await options.settings();
    const reference = parseReference(wanted.reference, settings.defaultRegistry);
    const name = formatReference(reference);
    const policy = wanted.pullPolicy ?? defaultPullPolicy(reference);
    if (policy !== 'Always') {
      const image = imageNamed(name);
      if (image !== undefined) {
        touch(name);
        return { name, image };
      }
      if (policy === 'Never')
        throw new ImageNotPresent(`image ${name} is not on this machine, and imagePullPolicy Never forbids to pull it`);
    }
    // Whoever may not pull it must not get it through somebody else who may.
    const key = JSON.stringify([name, fingerprint(wanted.credentials), wanted.allowedPaths]);
    const unfollow = wanted.onProgress && progress.follow(key, wanted.onProgress);
    try {
      const image = await imageWork.join(key, wanted.signal, (signal) =>
        pull(key, name, reference, settings, wanted, signal).catch((error: unknown) => {
          throw describePullFailure(name, error, signal);
        }),
      );
      return { name, image };
    } finally {
      unfollow?.();
    }
  }

  async function pull(
    key: string,
    name: string,
    reference: ImageReference,
    settings: RegistriesSettings,
    wanted: Wanted,
    signal: AbortSignal,
  ): Promise<ImageRecord> {
    progress.report(key, { phase: 'Resolving', item: name, doneBytes: 0, totalBytes: 0 });
    const source = await openSource(reference, settings, wanted);
    try {
      const topDigest = await source.resolve(signal);
      const here = table.references.get(name);
      if (here !== undefined && here.topDigest === topDigest) {
        const image = table.images.get(here.digest);
        if (image !== undefined) {
          touch(name);
          return image;
        }
      }
      const made = await assembleImage(
        {
          source,
          platform,
          layers,
          binary,
          pin: collector.pin,
          bringLayer: (descriptor, diffId, onBytes, layerSignal) =>
            bringLayer(source.blob.bind(source, descriptor), diffId, onBytes, layerSignal),
          onManifest: collector.makeRoom,
          onProgress: (doneBytes, totalBytes) =>
            progress.report(key, { phase: 'Pulling', item: name, doneBytes, totalBytes }),
          signal,
        },
        topDigest,
        (digest) => table.images.get(digest),
      );
      const replaced = here?.digest;
      const isNew = !table.images.has(made.image.digest);
      // In memory first, in one go: from here on the layers belong to an image.
      const stored = isNew ? table.add(made.image) : undefined;
      const now = new Date().toISOString();
      await table.setReference(name, {
        digest: made.image.digest,
        topDigest: made.topDigest,
        pulledAt: now,
        lastUsedAt: now,
      });
      await stored;
      if (replaced !== undefined && replaced !== made.image.digest) collector.removeIfUnused(replaced);
      progress.finish(key, name);
      return made.image;
    } finally {
      progress.forget(key);
      await source.close().catch(onProblem);
    }
  }

  function openSource(
    reference: ImageReference,
    settings: RegistriesSettings,
    { credentials = [], allowedPaths }: Wanted,
  ): Promise<ImageSource> | ImageSource {
    if (reference.kind !== 'registry')
      return fileSource(reference, { allowedPaths, temporaryFile: layers.temporaryName(), maxBytes: maxLayerBytes });
    const { retryDelaysMs } = options;
    return registrySource(reference, { settings, credentials, transport, ...(retryDelaysMs && { retryDelaysMs }) });
  }

  async function bringLayer(
    blob: (signal: AbortSignal) => AsyncIterable<Buffer>,
    diffId: string,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    while (!layers.has(diffId)) {
      const isOthers = layerWork.isRunning(diffId);
      try {
        await layerWork.join(diffId, signal, (shared) =>
          slots.run(async () => {
            if (layers.has(diffId)) return;
            await layers.add(diffId, (target) =>
              unpackLayer({
                binary,
                directory: target,
                source: counted(blob(shared), onBytes),
                diffId,
                maxBytes: maxLayerBytes,
                checkSpace: collector.checkSpace,
                signal: shared,
              }),
            );
          }, shared),
        );
      } catch (error) {
        signal.throwIfAborted();
        // Another's download may fail for reasons of his: his login, or his registry. Then ours is tried.
        if (!isOthers) throw error;
      }
    }
  }

  function imageNamed(name: string): ImageRecord | undefined {
    const reference = table.references.get(name);
    return reference && table.images.get(reference.digest);
  }

  function touch(name: string): void {
    table.touch(name, new Date().toISOString());
  }

  return {
    ensure,
    async close() {
      await Promise.all([imageWork.close(), layerWork.close()]);
    },
  };
}

async function* counted(source: AsyncIterable<Buffer>, onBytes: (count: number) => void): AsyncGenerator<Buffer> {
  for await (const bytes of source) {
    onBytes(bytes.length);
    yield bytes;
  }
}

function fingerprint(credentials: RegistryCredentials[] = []): string {
  return createHash('sha256')
    .update(JSON.stringify(credentials.map(({ entries }) => entries)))
    .digest('hex');
}
