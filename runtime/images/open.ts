/** Opens the image store of an agent: what is on disk, how to get more, and who uses it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createCollector } from './collector.ts';
import { ImageInUse, ImageNotPresent } from './errors.ts';
import type { Images, StoredImage } from './images.ts';
import { hostPlatform, type Platform } from './platform.ts';
import { provisionedImage } from './provisioned.ts';
import { createPuller } from './puller.ts';
import { formatReference, parseReference } from './reference.ts';
import { readRegistries } from './registry/settings.ts';
import type { Transport } from './registry/transport.ts';
import { type ImageRecord, openImageTable } from './store/image-table.ts';
import { openLayerStore } from './store/layer-store.ts';

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

/** The HTTP client is loaded with the first pull: it takes 20 MiB, which an agent that pulls nothing does not pay. */
function transportOnFirstUse(stallMs: number | undefined): Transport {
  let loading: Promise<Transport> | undefined;
  const load = async (): Promise<Transport> => {
    const { createTransport } = await import('./registry/transport.ts');
    return createTransport(stallMs === undefined ? {} : { stallMs });
  };
  return {
    async send(request, settings) {
      loading ??= load();
      return (await loading).send(request, settings);
    },
    async close() {
      await (await loading)?.close();
    },
  };
}

/** Removes what an earlier process left half done. Rejects with RegistriesInvalid or CredentialsInvalid when the operator's file cannot be followed. */
export async function openImages(options: OpenImages): Promise<Images> {
  const { directory, binary, logger } = options;
  const onProblem = (err: Error): void => logger.warn({ err }, 'the image store has a problem');
  const settings = () => readRegistries(options.registriesFile);
  await settings();
  const layers = await openLayerStore({ directory, binary, bootId: options.bootId, onProblem });
  const table = await openImageTable(directory, ({ stack }) => stack.every((id) => layers.has(id)), onProblem);
  const transport = transportOnFirstUse(options.stallMs);
  const headroom = options.diskHeadroom ?? (() => 0.1);
  const collector = createCollector({ directory, layers, table, settings, headroom, onProblem, logger });
  const puller = createPuller({
    binary,
    layers,
    table,
    collector,
    transport,
    settings,
    platform: options.platform ?? hostPlatform(),
    maxLayerBytes: options.maxLayerBytes ?? 64 * 2 ** 30,
    parallelLayers: options.parallelLayers ?? 3,
    retryDelaysMs: options.retryDelaysMs,
    onProblem,
  });
  const closing = new AbortController();
  let syncing: Promise<void> | undefined;

  // Layers without an image are kept: they are what an agent that was killed had pulled already. The next clearing takes them, if nothing else.
  if (layers.ids().some((id) => layers.get(id)?.isSynced === false)) syncSoon();
  const collecting = collectRegularly();

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

  function sizeOf({ stack }: ImageRecord): number {
    return stack.reduce((sum, id) => sum + (layers.get(id)?.bytes ?? 0), 0);
  }

  async function collectRegularly(): Promise<void> {
    const { signal } = closing;
    for (;;) {
      await sleep(options.garbageCollectionMs ?? HOUR_MS, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      try {
        await collector.makeRoom(0);
      } catch (error) {
        onProblem(error as Error);
      }
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
      collector.during(async () => {
        const { image } = await puller.ensure(request);
        syncSoon();
        await table.hold(request.holder, image.digest);
        return provisionedImage(request.reference, image, layers);
      }),
    async release(holder) {
      const digests = table.holders.get(holder);
      await table.release(holder);
      for (const digest of digests ?? []) collector.removeIfUnused(digest);
    },
    async retainHolders(ids) {
      const wanted = new Set(ids);
      for (const holder of [...table.holders.keys()]) if (!wanted.has(holder)) await table.release(holder);
      for (const digest of [...table.images.keys()]) collector.removeIfUnused(digest);
    },
    pull: (request) =>
      collector.during(async () => {
        const { name } = await puller.ensure({ ...request, pullPolicy: request.pullPolicy ?? 'Always' });
        await makeDurable();
        return describe(name);
      }),
    list: () => [...table.references.keys()].sort().map(describe),
    async remove(text) {
      const { defaultRegistry } = await settings();
      const name = formatReference(parseReference(text, defaultRegistry));
      const reference = table.references.get(name);
      if (reference === undefined) throw new ImageNotPresent(`image ${name} is not on this machine`);
      const others = [...table.references].some(([other, { digest }]) => other !== name && digest === reference.digest);
      const { holders } = describe(name);
      if (holders.length > 0 && !others)
        throw new ImageInUse(`image ${name} is used by container ${holders.join(', ')}`);
      return collector.removeImages([name]);
    },
    prune: collector.prune,
    async close() {
      closing.abort();
      await Promise.all([puller.close(), collecting]);
      await syncing;
      await layers.settled();
      await transport.close();
    },
  };
}
