/**
 * Which images are here, under which names, and who uses them. `images/<hex>.json` has the documents of an image, `references.json` the names,
 * `holders/<container id>.json` what each container uses. All of it is in memory; files follow.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type CheckpointDirectory, openCheckpointDirectory } from '../../checkpoint/directory.ts';
import { type CheckpointKind, readCheckpoint, removeUnfinished, writeCheckpoint } from '../../checkpoint/file.ts';
import type { ImageConfig } from '../images.ts';

export interface ImageRecord {
  /** Of the manifest for this platform. */
  digest: string;
  config: ImageConfig;
  /** Ids of the layer store, the uppermost first: those of the tars, and what mends attributes between them. */
  stack: string[];
}

export interface ReferenceRecord {
  /** Of the manifest. */
  digest: string;
  /** Of what the registry has under the name: an index, or the manifest itself. */
  topDigest: string;
  pulledAt: string;
  lastUsedAt: string;
}

export interface ImageTable {
  images: ReadonlyMap<string, ImageRecord>;
  references: ReadonlyMap<string, ReferenceRecord>;
  /** Digests by holder. */
  holders: ReadonlyMap<string, ReadonlySet<string>>;
  add(image: ImageRecord): Promise<void>;
  setReference(name: string, reference: ReferenceRecord): Promise<void>;
  /** Remembers the use; on disk with the next change. */
  touch(name: string, at: string): void;
  removeReference(name: string): Promise<void>;
  removeImage(digest: string): Promise<void>;
  hold(holder: string, digest: string): Promise<void>;
  release(holder: string): Promise<void>;
  /** Everything that was changed is in the files, durably. */
  flush(): Promise<void>;
}

const IMAGE: CheckpointKind = { kind: 'Image', version: 1 };
const REFERENCES: CheckpointKind = { kind: 'ImageReferences', version: 1 };
const HOLDER: CheckpointKind = { kind: 'ImageHolder', version: 1 };

/** Images for which `isWhole` says no (a layer is missing) are forgotten. */
export async function openImageTable(
  directory: string,
  isWhole: (image: ImageRecord) => boolean,
  onProblem: (error: Error) => void,
): Promise<ImageTable> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await removeUnfinished(directory);
  const lenient = { strict: false, onCorrupt: onProblem };
  const imageFiles = await openCheckpointDirectory<ImageRecord>(join(directory, 'images'), IMAGE, lenient);
  const holderFiles = await openCheckpointDirectory<string[]>(join(directory, 'holders'), HOLDER, lenient);
  const referencesFile = join(directory, 'references.json');

  const images = await loadImages(imageFiles, isWhole);
  const references = new Map<string, ReferenceRecord>();
  const stored = await readCheckpoint<Record<string, ReferenceRecord>>(referencesFile, REFERENCES).catch((error) => {
    onProblem(error as Error);
    return undefined;
  });
  for (const [name, reference] of Object.entries(stored ?? {}))
    if (images.has(reference.digest)) references.set(name, reference);
  const holders = new Map<string, Set<string>>();
  for (const [holder, digests] of await holderFiles.load())
    holders.set(holder, new Set(digests.filter((digest) => images.has(digest))));

  // One writer: an older table must not overtake a newer one.
  let writing: Promise<void> = Promise.resolve();
  const writeReferences = (durable: boolean): Promise<void> => {
    writing = writing
      .catch(() => {})
      .then(() => writeCheckpoint(referencesFile, REFERENCES, Object.fromEntries(references), { durable }));
    return writing;
  };

  return {
    images,
    references,
    holders,
    async add(image) {
      images.set(image.digest, image);
      await imageFiles.write(fileOf(image.digest), image);
    },
    async setReference(name, reference) {
      references.set(name, reference);
      await writeReferences(false);
    },
    touch(name, at) {
      const reference = references.get(name);
      if (reference !== undefined) references.set(name, { ...reference, lastUsedAt: at });
    },
    async removeReference(name) {
      if (references.delete(name)) await writeReferences(false);
    },
    async removeImage(digest) {
      if (images.delete(digest)) await imageFiles.remove(fileOf(digest));
    },
    async hold(holder, digest) {
      const digests = holders.get(holder) ?? new Set<string>();
      holders.set(holder, digests.add(digest));
      // Pins matter as long as the machine runs: after a restart of it no container does.
      await holderFiles.write(holder, [...digests], { durable: false });
    },
    async release(holder) {
      if (holders.delete(holder)) await holderFiles.remove(holder);
    },
    flush: () => writeReferences(true),
  };
}

async function loadImages(
  files: CheckpointDirectory<ImageRecord>,
  isWhole: (image: ImageRecord) => boolean,
): Promise<Map<string, ImageRecord>> {
  const images = new Map<string, ImageRecord>();
  for (const [name, image] of await files.load()) {
    if (fileOf(image.digest) === name && isWhole(image)) images.set(image.digest, image);
    else await files.remove(name);
  }
  return images;
}

function fileOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}
