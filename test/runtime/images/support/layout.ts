/** An OCI layout written byte by byte, for layers that no honest tool makes. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface LayerBytes {
  /** As stored, compressed or not. */
  blob: Buffer;
  /** The tar, for the diff id; absent: the blob. */
  tar?: Buffer;
  mediaType?: string;
}

export interface LayoutOptions {
  config?: Record<string, unknown>;
  /** In place of the tars' own. */
  diffIds?: string[];
  architecture?: string;
}

export const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Adds an image to the layout in `directory`, which is made when missing. Returns the manifest's digest. */
export function writeLayout(
  directory: string,
  name: string,
  layers: LayerBytes[],
  options: LayoutOptions = {},
): string {
  mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
  const put = (bytes: Buffer) => {
    const digest = digestOf(bytes);
    writeFileSync(join(directory, 'blobs/sha256', digest.slice('sha256:'.length)), bytes);
    return { digest, size: bytes.length };
  };
  const config = {
    os: 'linux',
    architecture: options.architecture ?? (process.arch === 'x64' ? 'amd64' : process.arch),
    config: options.config ?? {},
    rootfs: { type: 'layers', diff_ids: options.diffIds ?? layers.map(({ tar, blob }) => digestOf(tar ?? blob)) },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...put(Buffer.from(JSON.stringify(config))) },
    layers: layers.map(({ blob, mediaType = 'application/vnd.oci.image.layer.v1.tar' }) => ({
      mediaType,
      ...put(blob),
    })),
  };
  const stored = put(Buffer.from(JSON.stringify(manifest)));
  writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const file = join(directory, 'index.json');
  const index = readIndex(file);
  index.manifests.push({
    mediaType: manifest.mediaType,
    ...stored,
    annotations: { 'org.opencontainers.image.ref.name': name },
  });
  writeFileSync(file, JSON.stringify(index));
  return stored.digest;
}

function readIndex(file: string): { schemaVersion: number; manifests: unknown[] } {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { schemaVersion: 2, manifests: [] };
  }
}
