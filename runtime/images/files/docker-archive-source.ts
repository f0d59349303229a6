/** An image in a file of `docker save`. */
import { createHash } from 'node:crypto';
import {
  type Descriptor,
  digestOf,
  isObject,
  ManifestInvalid,
  MOST_CONFIG_BYTES,
  MOST_LAYERS,
  MOST_MANIFEST_BYTES,
  parseObject,
} from '../descriptor.ts';
import { type ImageSource, SourceFailed } from '../image-source.ts';
import { type FileReference, formatReference, parseReference } from '../reference.ts';
import type { FileTree } from './file-tree.ts';
import { verified } from './layout-source.ts';

interface Item {
  config: string;
  tags: string[];
  layers: string[];
}

/** The format has no manifest of ours: one is made, so that the rest need not know. Takes the tree over. */
export function dockerArchiveSource(reference: FileReference, tree: FileTree): ImageSource {
  let known: Promise<Made> | undefined;
  const made = (): Promise<Made> => {
    known ??= makeManifest(reference, tree);
    return known;
  };
  return {
    resolve: async () => (await made()).digest,
    async manifest() {
      const { bytes, digest } = await made();
      return { bytes, digest };
    },
    smallBlob: async ({ digest }) => {
      const { config, configDigest } = await made();
      if (digest !== configDigest)
        throw new SourceFailed(`${reference.path} has no blob ${digest}`, { notFound: true });
      return config;
    },
    async *blob(descriptor) {
      const name = (await made()).files.get(descriptor.digest);
      if (name === undefined)
        throw new SourceFailed(`${reference.path} has no blob ${descriptor.digest}`, { notFound: true });
      yield* verified(tree.stream(name), descriptor, reference.path);
    },
    close: () => tree.close(),
  };
}

interface Made {
  bytes: Buffer;
  digest: string;
  config: Buffer;
  configDigest: string;
  /** Layers' files by digest. */
  files: Map<string, string>;
}

async function makeManifest(reference: FileReference, tree: FileTree): Promise<Made> {
  const { path } = reference;
  const item = choose(parseItems(await tree.read('manifest.json', MOST_MANIFEST_BYTES), path), reference);
  const config = await tree.read(item.config, MOST_CONFIG_BYTES);
  const document = parseObject(config, `${path}: ${item.config}`);
  const diffIds = isObject(document.rootfs) && Array.isArray(document.rootfs.diff_ids) ? document.rootfs.diff_ids : [];
  const files = new Map<string, string>();
  const layers: Omit<Descriptor, 'annotations'>[] = [];
  for (const [index, name] of item.layers.entries()) {
    const digest = await digestOfLayer(tree, name, diffIds[index]);
    files.set(digest, name);
    layers.push({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: await tree.size(name) });
  }
  const configDigest = digestOf(config);
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: configDigest, size: config.length },
      layers,
    }),
  );
  return { bytes, digest: digestOf(bytes), config, configDigest, files };
}

/** The layers are plain tars as a rule: then the configuration has their digests, and they are checked when they are read. */
async function digestOfLayer(tree: FileTree, name: string, diffId: unknown): Promise<string> {
  const hash = createHash('sha256');
  let isFirst = true;
  for await (const bytes of tree.stream(name)) {
    const isPlain = bytes.length === 0 || !isCompressed(bytes);
    if (isFirst && isPlain && typeof diffId === 'string') return diffId;
    isFirst = false;
    hash.update(bytes);
  }
  return `sha256:${hash.digest('hex')}`;
}

function isCompressed(bytes: Buffer): boolean {
  return (bytes[0] === 0x1f && bytes[1] === 0x8b) || (bytes.length >= 4 && bytes.readUInt32LE(0) === 0xfd2fb528);
}

function parseItems(bytes: Buffer, path: string): Item[] {
  const where = `${path}: manifest.json`;
  const { items } = parseObject(Buffer.from(`{"items":${bytes.toString('utf8')}}`), where);
  if (!Array.isArray(items) || items.length === 0) throw new ManifestInvalid(`${where} is no list of images`);
  return items.map((item: unknown, at) => {
    if (!isObject(item) || typeof item.Config !== 'string')
      throw new ManifestInvalid(`${where}: [${at}].Config is no text`);
    const { Layers: layers, RepoTags: tags } = item;
    if (!isTexts(layers) || layers.length > MOST_LAYERS)
      throw new ManifestInvalid(`${where}: [${at}].Layers is no list of files`);
    return { config: item.Config, layers, tags: isTexts(tags) ? tags : [] };
  });
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function choose(items: Item[], { path, name }: FileReference): Item {
  const [first, ...others] = items;
  if (name === undefined) {
    if (others.length === 0) return first!;
    throw new SourceFailed(`${path} has several images; add one of ${namesOf(items)} as ":NAME"`);
  }
  if (/^@\d{1,6}$/.test(name)) {
    const item = items[Number(name.slice(1))];
    if (item) return item;
  } else {
    const wanted = full(name);
    const item = items.find(({ tags }) => tags.some((tag) => full(tag) === wanted));
    if (item) return item;
  }
  throw new SourceFailed(`${path} has no image "${name}", only ${namesOf(items)}`, { notFound: true });
}

function full(tag: string): string {
  try {
    return formatReference(parseReference(tag));
  } catch {
    return tag;
  }
}

function namesOf(items: Item[]): string {
  return items
    .flatMap(({ tags }, at) => (tags.length > 0 ? tags : [`@${at}`]))
    .map((tag) => `"${tag}"`)
    .join(', ');
}
