/** What leaves the disk, and what must not: images that containers use, and those that requests under way are about to use. */
import { statfs } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { PruneReport } from './images.ts';
import { planRemoval } from './prune.ts';
import { formatReference, parseReference } from './reference.ts';
import type { RegistriesSettings } from './registry/settings.ts';
import type { ImageTable } from './store/image-table.ts';
import type { LayerStore } from './store/layer-store.ts';
import { UnpackFailed } from './unpack/maker.ts';

export interface CollectorOptions {
  /** On the disk that is looked at. */
  directory: string;
  layers: LayerStore;
  table: ImageTable;
  settings(): Promise<RegistriesSettings>;
  /** Share of the disk to keep free. */
  headroom(): number;
  onProblem(error: Error): void;
  logger: Logger;
}

export interface Collector {
  /** Runs a request; what it uses meanwhile is not removed. */
  during<T>(work: () => Promise<T>): Promise<T>;
  /** Layers of an image that is being put together. Returns how to undo it. */
  pin(ids: string[]): () => void;
  /** Rejects with UnpackFailed when the disk is so full that tasks would suffer. */
  checkSpace(): Promise<void>;
  /** Removes images until the headroom and this many bytes are free, or nothing more can go. */
  makeRoom(neededBytes: number): Promise<void>;
  prune(options?: { untilBytesFree?: number }): Promise<PruneReport>;
  /** By their full references. */
  removeImages(names: string[]): Promise<PruneReport>;
  /** An image that lost its last name goes when its last container does. */
  removeIfUnused(digest: string): void;
}

const LEAST_FREE_BYTES = 256 * 2 ** 20;

export function createCollector(options: CollectorOptions): Collector {
  const { directory, layers, table, onProblem, logger } = options;
  const pins = new Map<string, number>();
  /** When the requests that are under way began. */
  const requests = new Set<number>();

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

  async function checkSpace(): Promise<void> {
    const { bavail, bsize, blocks } = await statfs(directory);
    if (bavail * bsize < Math.min(LEAST_FREE_BYTES, (blocks * bsize) / 50))
      throw new UnpackFailed('the disk is full', true);
  }

  /** So that a pull does not fail for want of space that unused images have. */
  async function makeRoom(neededBytes: number): Promise<void> {
    const { bavail, bsize, blocks } = await statfs(directory);
    const least = options.headroom() * blocks * bsize + neededBytes;
    if (bavail * bsize < least) await prune({ untilBytesFree: least });
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

  function isHeld(digest: string): boolean {
    for (const digests of table.holders.values()) if (digests.has(digest)) return true;
    return false;
  }

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
    const settings = await options.settings();
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

  return { during, pin, checkSpace, makeRoom, prune, removeImages, removeIfUnused };
}
