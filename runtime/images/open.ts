/** Opens the image store of an agent: what is on disk, how to get more, and who uses it. */
import { createHash } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { assembleImage } from './assemble.ts';
import { ManifestInvalid } from './descriptor.ts';
import { ImageInUse, ImageNotPresent, ImagePullFailed, ImageReferenceInvalid } from './errors.ts';
import { fileSource } from './files/file-source.ts';
import { type ImageSource, SourceFailed } from './image-source.ts';
import type { ImageProgress, Images, PruneReport, PullPolicy, StoredImage } from './images.ts';
import { hostPlatform, type Platform } from './platform.ts';
import { createProgress } from './progress.ts';
import { provisionedImage } from './provisioned.ts';
import { planRemoval } from './prune.ts';
import { defaultPullPolicy } from './pull-policy.ts';
import { formatReference, type ImageReference, parseReference } from './reference.ts';
import type { RegistryCredentials } from './registry/credentials.ts';
import { readRegistries } from './registry/settings.ts';
import { registrySource } from './registry/source.ts';
import { createTransport } from './registry/transport.ts';
import { createSharedWork } from './shared-work.ts';
import { createSlots } from './slots.ts';
import { type ImageRecord, openImageTable } from './store/image-table.ts';
import { openLayerStore } from './store/layer-store.ts';
import { LayerRefused } from './unpack/layer-entries.ts';
import { UnpackFailed } from './unpack/maker.ts';
import { TarInvalid } from './unpack/tar-header.ts';
import { unpackLayer } from './unpack/unpack-layer.ts';

export interface OpenImages {
  /** `<data>/agent/images`. */
  directory: string;
  /** `<data>/agent/registries.yaml`; need not exist. Read again for each pull. */
  registriesFile: string;
  /** The launcher's binary. */
  binary: string;
  /** Of the machine: what was made in an earlier boot and never synced is not trusted. */
  bootId: string;
  /** Share of the disk to keep free (Agent `spec.housekeeping.diskHeadroom`). Default: 0.1. */
  diskHeadroom?: () => number;
  /** How often the disk is looked at. Default: one hour, as in Mesos. */
  garbageCollectionMs?: number;
  /** Most bytes that one layer may unpack to. Default: 64 GiB. */
  maxLayerBytes?: number;
  /** Layers that are pulled and unpacked at once. Default: 3. */
  parallelLayers?: number;
  /** Default: this machine's. */
  platform?: Platform;
  /** Of failed requests; for tests. */
  retryDelaysMs?: number[];
  /** After which a transfer without a byte has failed. Default: 60 s. */
  stallMs?: number;
  logger: Logger;
}

const HOUR_MS = 3_600_000;
/** Unpacking stops before the disk is so full that tasks suffer. */
const LEAST_FREE_BYTES = 256 * 2 ** 20;

interface Wanted {
  reference: string;
  pullPolicy?: PullPolicy | undefined;
  credentials?: RegistryCredentials[] | undefined;
  allowedPaths?: string[] | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: ImageProgress) => void) | undefined;
}

/** Removes what an earlier process left half done. Rejects with RegistriesInvalid or CredentialsInvalid when the operator's file cannot be followed. */
export async function openImages(options: OpenImages): Promise<Images> {
  const { directory, binary, logger, maxLayerBytes = 64 * 2 ** 30, platform = hostPlatform() } = options;
  const headroom = options.diskHeadroom ?? (() => 0.1);
  const onProblem = (err: Error): void => logger.warn({ err }, 'the image store has a problem');
  await readRegistries(options.registriesFile);
  const layers = await openLayerStore({ directory, binary, bootId: options.bootId, onProblem });
  const table = await openImageTable(directory, ({ stack }) => stack.every((id) => layers.has(id)), onProblem);
  const transport = createTransport({ ...(options.stallMs !== undefined && { stallMs: options.stallMs }) });
  const imageWork = createSharedWork<ImageRecord>();
  const layerWork = createSharedWork<void>();
  const slots = createSlots(options.parallelLayers ?? 3);
  const progress = createProgress();
  const pins = new Map<string, number>();
  /** Times of requests that are under way: what they use is not removed. */
  const requests = new Set<number>();
  const closing = new AbortController();
  let syncing: Promise<void> | undefined;

  // Layers without an image are kept: they are what an agent that was killed had pulled already. The next clearing takes them, if nothing else.
  if (layers.ids().some((id) => layers.get(id)?.isSynced === false)) syncSoon();
  const collecting = collectRegularly();

  async function ensure(wanted: Wanted, isDurable: boolean): Promise<{ name: string; image: ImageRecord }> {
    const settings = await readRegistries(options.registriesFile);
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
          throw describeFailure(name, error, signal);
        }),
      );
      if (isDurable) await makeDurable();
      else syncSoon();
      return { name, image };
    } finally {
      unfollow?.();
    }
  }

  async function pull(
    key: string,
    name: string,
    reference: ImageReference,
    settings: Awaited<ReturnType<typeof readRegistries>>,
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
          pin,
          bringLayer: (descriptor, diffId, onBytes, layerSignal) =>
            bringLayer(source.blob.bind(source, descriptor), diffId, onBytes, layerSignal),
          onManifest: makeRoom,
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
      if (replaced !== undefined && replaced !== made.image.digest) removeIfUnused(replaced);
      progress.finish(key, name);
      return made.image;
    } finally {
      progress.forget(key);
      await source.close().catch(onProblem);
    }
  }

  function openSource(
    reference: ImageReference,
    settings: Awaited<ReturnType<typeof readRegistries>>,
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
                checkSpace,
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

  async function checkSpace(): Promise<void> {
    const { bavail, bsize, blocks } = await statfs(directory);
    if (bavail * bsize < Math.min(LEAST_FREE_BYTES, (blocks * bsize) / 50))
      throw new UnpackFailed('the disk is full', true);
  }

  /** So that a pull does not fail for want of space that unused images have. */
  async function makeRoom(neededBytes: number): Promise<void> {
    const { bavail, bsize, blocks } = await statfs(directory);
    const least = headroom() * blocks * bsize + neededBytes;
    if (bavail * bsize < least) await prune({ untilBytesFree: least });
  }

  function imageNamed(name: string): ImageRecord | undefined {
    const reference = table.references.get(name);
    return reference && table.images.get(reference.digest);
  }

  function touch(name: string): void {
    table.touch(name, new Date().toISOString());
  }

  function pin(ids: string[]): () => void {
    for (const id of ids) pins.set(id, (pins.get(id) ?? 0) + 1);
    return () => {
      for (const id of ids) {
        const count = (pins.get(id) ?? 1) - 1;
        if (count === 0) pins.delete(id);
        else pins.set(id, count);
      }
    };
  }

  function syncSoon(): void {
    syncing ??= (async () => {
      await layers.sync();
      await table.flush();
    })()
      .catch(onProblem)
      .finally(() => {
        syncing = undefined;
      });
  }

  async function makeDurable(): Promise<void> {
    await syncing;
    await layers.sync();
    await table.flush();
  }

  function isHeld(digest: string): boolean {
    for (const digests of table.holders.values()) if (digests.has(digest)) return true;
    return false;
  }

  /** An image that lost its last name goes when its last container does. */
  function removeIfUnused(digest: string): void {
    const isNamed = [...table.references.values()].some((reference) => reference.digest === digest);
    if (isNamed || isHeld(digest) || requests.size > 0) return;
    void table.removeImage(digest).catch(onProblem);
    removeOrphanLayers();
  }

  /** Returns the bytes that are freed. */
  function removeOrphanLayers(): number {
    const wanted = new Set([...table.images.values()].flatMap(({ stack }) => stack));
    let freed = 0;
    for (const id of layers.ids()) {
      // Layers of an image that is being put together, and what mends attributes in it.
      if (wanted.has(id) || pins.has(id) || (pins.size > 0 && id.startsWith('attributes:'))) continue;
      freed += layers.get(id)?.bytes ?? 0;
      layers.remove(id);
    }
    return freed;
  }

  function sizeOf({ stack }: ImageRecord): number {
    return stack.reduce((sum, id) => sum + (layers.get(id)?.bytes ?? 0), 0);
  }

  async function removeImages(names: string[]): Promise<PruneReport> {
    const digests = new Set(names.flatMap((name) => table.references.get(name)?.digest ?? []));
    await Promise.all(names.map((name) => table.removeReference(name)));
    for (const digest of digests) {
      const isNamed = [...table.references.values()].some((reference) => reference.digest === digest);
      if (!isNamed && !isHeld(digest)) await table.removeImage(digest);
    }
    const freedBytes = removeOrphanLayers();
    await layers.settled();
    return { removed: names, freedBytes };
  }

  async function prune({ untilBytesFree }: { untilBytesFree?: number } = {}): Promise<PruneReport> {
    const settings = await readRegistries(options.registriesFile);
    const excluded = settings.excludedImages.map((text) => {
      try {
        return formatReference(parseReference(text, settings.defaultRegistry));
      } catch {
        return text;
      }
    });
    const oldestRequest = Math.min(...requests);
    const unused = planRemoval(table, new Set(excluded), oldestRequest);
    const report: PruneReport = { removed: [], freedBytes: 0 };
    for (const names of untilBytesFree === undefined ? [unused.flat()] : unused) {
      if (untilBytesFree !== undefined) {
        const { bavail, bsize } = await statfs(directory);
        if (bavail * bsize >= untilBytesFree) break;
      }
      const { removed, freedBytes } = await removeImages(names);
      report.removed.push(...removed);
      report.freedBytes += freedBytes;
    }
    // Images without a name, left by a tag that moved, and layers without an image, left by a pull that did not end.
    for (const digest of [...table.images.keys()]) removeIfUnused(digest);
    report.freedBytes += removeOrphanLayers();
    if (report.removed.length > 0)
      logger.info({ images: report.removed, bytes: report.freedBytes }, 'images were removed');
    return report;
  }

  async function collectRegularly(): Promise<void> {
    const { signal } = closing;
    for (;;) {
      await sleep(options.garbageCollectionMs ?? HOUR_MS, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      try {
        await makeRoom(0);
      } catch (error) {
        onProblem(error as Error);
      }
    }
  }

  async function during<T>(work: () => Promise<T>): Promise<T> {
    // Each its own number, even within one millisecond.
    let started = Date.now();
    while (requests.has(started)) started -= 0.001;
    requests.add(started);
    try {
      return await work();
    } finally {
      requests.delete(started);
    }
  }

  const describe = (name: string): StoredImage => {
    const reference = table.references.get(name)!;
    const image = table.images.get(reference.digest)!;
    return {
      reference: name,
      digest: image.digest,
      sizeBytes: sizeOf(image),
      layers: image.stack.filter((id) => !id.startsWith('attributes:')).length,
      pulledAt: reference.pulledAt,
      lastUsedAt: reference.lastUsedAt,
      holders: [...table.holders].filter(([, digests]) => digests.has(image.digest)).map(([holder]) => holder),
    };
  };

  return {
    provision: (request) =>
      during(async () => {
        const { image } = await ensure(request, false);
        await table.hold(request.holder, image.digest);
        return provisionedImage(request.reference, image, layers);
      }),
    async release(holder) {
      const digests = table.holders.get(holder);
      await table.release(holder);
      for (const digest of digests ?? []) removeIfUnused(digest);
    },
    async retainHolders(ids) {
      const wanted = new Set(ids);
      for (const holder of [...table.holders.keys()]) if (!wanted.has(holder)) await table.release(holder);
      for (const digest of [...table.images.keys()]) removeIfUnused(digest);
    },
    pull: (request) =>
      during(async () => {
        const { name } = await ensure({ ...request, pullPolicy: request.pullPolicy ?? 'Always' }, true);
        return describe(name);
      }),
    list: () => [...table.references.keys()].sort().map(describe),
    async remove(text) {
      const { defaultRegistry } = await readRegistries(options.registriesFile);
      const name = formatReference(parseReference(text, defaultRegistry));
      const reference = table.references.get(name);
      if (reference === undefined) throw new ImageNotPresent(`image ${name} is not on this machine`);
      const others = [...table.references].some(([other, { digest }]) => other !== name && digest === reference.digest);
      const { holders } = describe(name);
      if (holders.length > 0 && !others)
        throw new ImageInUse(`image ${name} is used by container ${holders.join(', ')}`);
      return removeImages([name]);
    },
    prune,
    async close() {
      closing.abort();
      await Promise.all([imageWork.close(), layerWork.close(), collecting]);
      await syncing;
      await layers.settled();
      await transport.close();
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

/** One kind of error for whoever wants the image, with the reason as one sentence. */
function describeFailure(name: string, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof ImagePullFailed || error instanceof ImageReferenceInvalid) return error;
  if (error instanceof SourceFailed) {
    const { retryable, notFound, unauthorized } = error;
    return new ImagePullFailed(name, error.message, { retryable, notFound, unauthorized, cause: error });
  }
  if (error instanceof UnpackFailed)
    return new ImagePullFailed(name, error.message, { retryable: error.diskFull, cause: error });
  if (error instanceof LayerRefused)
    return new ImagePullFailed(name, `a layer is refused: ${error.message}`, { cause: error });
  if (error instanceof ManifestInvalid || error instanceof TarInvalid)
    return new ImagePullFailed(name, error.message, { cause: error });
  return new ImagePullFailed(name, (error as Error).message, { retryable: true, cause: error });
}
