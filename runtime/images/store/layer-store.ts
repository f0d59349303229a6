/**
 * Unpacked layers on disk: `layers/<hex of the diff id>/{fs,layer.json}`. A layer is made in `staging/` and appears with one rename, so what is
 * in `layers/` is whole. It is durable only after the next sync of the file system; until then its record says in which boot it was made, and
 * one that a power cut may have damaged is thrown away at the next start.
 */
import { renameSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type CheckpointKind, readCheckpoint, removeUnfinished, writeCheckpoint } from '../../checkpoint/file.ts';
import type { UnpackedLayer } from '../unpack/unpack-layer.ts';
import { removeBelow, syncFileSystem } from './launcher-tools.ts';

export interface LayerRecord extends UnpackedLayer {
  /** Of the tar; for a layer that only mends attributes of directories, the hash of those. */
  id: string;
  bootId: string;
  isSynced: boolean;
}

export interface LayerStore {
  has(id: string): boolean;
  get(id: string): LayerRecord | undefined;
  /** The layer's root directory. */
  path(id: string): string;
  ids(): string[];
  /** `fill` gets an empty directory. Rejects with what it rejects with; then nothing is left. The caller makes sure that it runs once per id. */
  add(id: string, fill: (directory: string) => Promise<UnpackedLayer>): Promise<void>;
  /** Gone at once for everybody; its files a little later. */
  remove(id: string): void;
  /** Makes durable what is not yet. */
  sync(): Promise<void>;
  /** A name in `staging/` that nobody else has. */
  temporaryName(): string;
  /** Waits for removals. */
  settled(): Promise<void>;
}

export interface OpenLayerStore {
  directory: string;
  binary: string;
  bootId: string;
  onProblem(error: Error): void;
}

const LAYER: CheckpointKind = { kind: 'ImageLayer', version: 1 };

export async function openLayerStore({ directory, binary, bootId, onProblem }: OpenLayerStore): Promise<LayerStore> {
  const [layers, staging] = [join(directory, 'layers'), join(directory, 'staging')];
  for (const path of [layers, staging]) await mkdir(path, { recursive: true, mode: 0o700 });
  const known = new Map<string, LayerRecord>();
  const removals = new Set<Promise<void>>();
  let serial = 0;

  const temporaryName = (): string => join(staging, `${process.pid}-${Date.now().toString(36)}-${++serial}`);
  const clear = (name: string): void => {
    const removal = removeBelow(binary, staging, name).catch(onProblem);
    removals.add(removal);
    void removal.finally(() => removals.delete(removal));
  };
  const discard = (name: string): void => {
    const trash = temporaryName();
    renameSync(join(layers, name), trash);
    clear(trash.slice(staging.length + 1));
  };

  for (const name of await readdir(staging)) clear(name);
  for (const name of await readdir(layers)) {
    const record = await readCheckpoint<LayerRecord>(join(layers, name, 'layer.json'), LAYER).catch(() => undefined);
    const isGood = record !== undefined && nameOf(record.id) === name && (record.isSynced || record.bootId === bootId);
    if (!isGood) {
      discard(name);
      continue;
    }
    known.set(record.id, record);
    // Only `sync` writes into a layer that is there.
    if (!record.isSynced) await removeUnfinished(join(layers, name));
  }

  return {
    has: (id) => known.has(id),
    get: (id) => known.get(id),
    path: (id) => join(layers, nameOf(id), 'fs'),
    ids: () => [...known.keys()],
    async add(id, fill) {
      const temporary = temporaryName();
      try {
        await mkdir(join(temporary, 'fs'), { recursive: true, mode: 0o755 });
        const unpacked = await fill(join(temporary, 'fs'));
        const record: LayerRecord = { ...unpacked, id, bootId, isSynced: false };
        await writeCheckpoint(join(temporary, 'layer.json'), LAYER, record, { durable: false });
        // Somebody who was too late to stop may have made it meanwhile.
        if (known.has(id)) return clear(temporary.slice(staging.length + 1));
        renameSync(temporary, join(layers, nameOf(id)));
        known.set(id, record);
      } catch (error) {
        clear(temporary.slice(staging.length + 1));
        throw error;
      }
    },
    remove(id) {
      if (!known.delete(id)) return;
      discard(nameOf(id));
    },
    async sync() {
      const written = [...known.values()].filter(({ isSynced }) => !isSynced);
      if (written.length === 0) return;
      await syncFileSystem(binary, directory);
      for (const record of written) {
        if (known.get(record.id) !== record) continue;
        const synced = { ...record, isSynced: true };
        await writeCheckpoint(join(layers, nameOf(record.id), 'layer.json'), LAYER, synced);
        if (known.get(record.id) === record) known.set(record.id, synced);
      }
    },
    temporaryName,
    async settled() {
      await Promise.all(removals);
    },
  };
}

/** Digests are validated before they get here: hexadecimal digits behind the colon. */
function nameOf(id: string): string {
  return id.slice(id.indexOf(':') + 1);
}
