/** An image in an OCI image layout: a directory, or a tar of one. */
import { createHash } from 'node:crypto';
import {
  type Descriptor,
  digestOf,
  ManifestInvalid,
  MOST_MANIFEST_BYTES,
  parseManifest,
  verifyDigest,
} from '../descriptor.ts';
import { type ImageSource, SourceFailed } from '../image-source.ts';
import type { FileReference } from '../reference.ts';
import type { FileTree } from './file-tree.ts';

const NAME = 'org.opencontainers.image.ref.name';

/** Takes the tree over. */
export function layoutSource(reference: FileReference, tree: FileTree): ImageSource {
  return {
    async resolve() {
      return (await topDocument(reference, tree)).digest;
    },
    async manifest(digest) {
      if (digest === undefined) return topDocument(reference, tree);
      const bytes = await tree.read(blobPath(digest), MOST_MANIFEST_BYTES);
      verifyDigest(bytes, digest, `${reference.path}: a manifest`);
      return { bytes, digest };
    },
    async smallBlob({ digest, size }) {
      const bytes = await tree.read(blobPath(digest), size);
      verifyDigest(bytes, digest, `${reference.path}: a blob`);
      return bytes;
    },
    blob: (descriptor) => verified(tree.stream(blobPath(descriptor.digest)), descriptor, reference.path),
    close: () => tree.close(),
  };
}

/** What the name means. Without a name: the only image, or the index as a whole, from which the platform chooses. */
async function topDocument({ path, name }: FileReference, tree: FileTree): Promise<{ bytes: Buffer; digest: string }> {
  const bytes = await tree.read('index.json', MOST_MANIFEST_BYTES);
  const index = parseManifest(bytes, `${path}: index.json`);
  if (index.kind !== 'index') throw new ManifestInvalid(`${path}: index.json is no index`);
  const wanted = choose(index.manifests, path, name);
  if (wanted === undefined) return { bytes, digest: digestOf(bytes) };
  const manifest = await tree.read(blobPath(wanted.digest), MOST_MANIFEST_BYTES);
  verifyDigest(manifest, wanted.digest, `${path}: a manifest`);
  return { bytes: manifest, digest: wanted.digest };
}

function choose(manifests: Descriptor[], path: string, name: string | undefined): Descriptor | undefined {
  if (name !== undefined) {
    const found = manifests.find(({ annotations }) => annotations[NAME] === name);
    if (found) return found;
    throw new SourceFailed(`${path} has no image "${name}", only ${namesOf(manifests)}`, { notFound: true });
  }
  if (manifests.length <= 1) return manifests[0];
  const names = new Set(manifests.map(({ annotations }) => annotations[NAME]));
  if (names.size === 1) return undefined;
  throw new SourceFailed(`${path} has several images; add one of ${namesOf(manifests)} as ":NAME"`);
}

function namesOf(manifests: Descriptor[]): string {
  const names = manifests.flatMap(({ annotations }) => annotations[NAME] ?? []);
  return names.length === 0 ? 'images without a name' : [...new Set(names)].map((name) => `"${name}"`).join(', ');
}

function blobPath(digest: string): string {
  const colon = digest.indexOf(':');
  return `blobs/${digest.slice(0, colon)}/${digest.slice(colon + 1)}`;
}

/** Passes the bytes on and rejects at the end when they are not those of the descriptor. */
export async function* verified(
  source: AsyncIterable<Buffer>,
  { digest, size }: Descriptor,
  where: string,
): AsyncGenerator<Buffer> {
  const algorithm = digest.slice(0, digest.indexOf(':'));
  const hash = createHash(algorithm);
  let length = 0;
  for await (const bytes of source) {
    length += bytes.length;
    if (length > size) throw new ManifestInvalid(`${where}: blob ${digest} is longer than its ${size} bytes`);
    hash.update(bytes);
    yield bytes;
  }
  const found = `${algorithm}:${hash.digest('hex')}`;
  if (found !== digest) throw new ManifestInvalid(`${where}: what is stored as ${digest} has the digest ${found}`);
}
