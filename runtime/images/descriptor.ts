/** Digests, descriptors and manifests of the OCI image specification and its Docker forerunners, validated on the way in. */
import { createHash } from 'node:crypto';

/** A document of an image is not what it must be. */
export class ManifestInvalid extends Error {
  override name = 'ManifestInvalid';
}

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: { os: string; architecture: string; variant?: string };
  annotations: Record<string, string>;
}

export interface Index {
  kind: 'index';
  manifests: Descriptor[];
}

export interface Manifest {
  kind: 'manifest';
  config: Descriptor;
  layers: Descriptor[];
}

/** As registries bound manifests, and Docker and containerd both. */
export const MOST_MANIFEST_BYTES = 4 * 2 ** 20;
export const MOST_CONFIG_BYTES = 8 * 2 ** 20;
/** Layers that overlayfs can stack, with some left for its own needs. */
export const MOST_LAYERS = 480;

/** What a registry may answer with. */
export const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: unknown): text is string {
  return typeof text === 'string' && DIGEST.test(text);
}

export function digestOf(bytes: Buffer, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** Throws ManifestInvalid when the bytes are not those of the digest. */
export function verifyDigest(bytes: Buffer, digest: string, what: string): void {
  const found = digestOf(bytes, digest.slice(0, digest.indexOf(':')));
  if (found !== digest) throw new ManifestInvalid(`${what} has the digest ${found}, not ${digest}`);
}

/** Reads an index or a manifest; told apart by what is in it, because media types are optional. Throws ManifestInvalid. */
export function parseManifest(bytes: Buffer, what: string): Index | Manifest {
  if (bytes.length > MOST_MANIFEST_BYTES)
    throw new ManifestInvalid(`${what} has more than ${MOST_MANIFEST_BYTES} bytes`);
  const value = parseObject(bytes, what);
  if (value.schemaVersion === 1)
    throw new ManifestInvalid(
      `${what} has Docker's schema 1, which is not read; push the image again with a newer tool`,
    );
  if (value.schemaVersion !== 2) throw new ManifestInvalid(`${what}: schemaVersion: it is not 2`);
  // One document that is both would be read differently by different programs.
  if (value.manifests !== undefined && (value.layers !== undefined || value.config !== undefined))
    throw new ManifestInvalid(`${what} is both an index and a manifest`);
  if (Array.isArray(value.manifests))
    return {
      kind: 'index',
      manifests: value.manifests.map((entry, at) => descriptor(entry, `${what}: manifests[${at}]`)),
    };
  if (!Array.isArray(value.layers)) throw new ManifestInvalid(`${what} has neither "layers" nor "manifests"`);
  if (value.layers.length > MOST_LAYERS) throw new ManifestInvalid(`${what} has more than ${MOST_LAYERS} layers`);
  const config = descriptor(value.config, `${what}: config`);
  if (config.size > MOST_CONFIG_BYTES)
    throw new ManifestInvalid(`${what}: config has more than ${MOST_CONFIG_BYTES} bytes`);
  return {
    kind: 'manifest',
    config,
    layers: value.layers.map((entry, at) => descriptor(entry, `${what}: layers[${at}]`)),
  };
}

/** The root of a JSON document. Throws ManifestInvalid. */
export function parseObject(bytes: Buffer, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new ManifestInvalid(`${what} is not JSON`);
  }
  if (!isObject(value)) throw new ManifestInvalid(`${what} is not an object`);
  return value;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function descriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw new ManifestInvalid(`${what} is not an object`);
  const { mediaType, digest, size, platform, annotations } = value;
  if (!isDigest(digest)) throw new ManifestInvalid(`${what}: digest: it is no sha256 or sha512 digest`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw new ManifestInvalid(`${what}: size: it is no number of bytes`);
  return {
    mediaType: typeof mediaType === 'string' ? mediaType : '',
    digest,
    size,
    ...(isObject(platform) && { platform: platformOf(platform, what) }),
    annotations: isObject(annotations)
      ? Object.fromEntries(
          Object.entries(annotations).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
        )
      : {},
  };
}

function platformOf(
  { os, architecture, variant }: Record<string, unknown>,
  what: string,
): NonNullable<Descriptor['platform']> {
  if (typeof os !== 'string' || typeof architecture !== 'string')
    throw new ManifestInvalid(`${what}: platform: it has no os and architecture`);
  return { os, architecture, ...(typeof variant === 'string' && variant !== '' && { variant }) };
}
