/** Images as OCI layouts on disk, made of Debian's static busybox with tar: small, and without a registry. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { staticBusybox } from '../../../setup/busybox.ts';

const busybox = staticBusybox();
/** Why images cannot be made here; undefined when they can. */
export const noBusybox = 'why' in busybox ? busybox.why : undefined;

const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };

/** The reference of a new image in the directory; `config` as in an OCI image configuration, `files` by path. */
export function makeImage(directory: string, config: object = {}, files: Record<string, string> = {}): string {
  if ('why' in busybox) throw new Error(busybox.why);
  const root = `${directory}.root`;
  for (const part of ['bin', 'etc', 'tmp']) mkdirSync(join(root, part), { recursive: true });
  copyFileSync(busybox.path, join(root, 'bin/busybox'));
  for (const name of ['sh', 'cat', 'echo', 'sleep', 'id', 'env', 'pwd', 'ls', 'true', 'test'])
    symlinkSync('busybox', join(root, 'bin', name));
  for (const [path, text] of Object.entries(files)) writeFileSync(join(root, path), text);
  const blobs = join(directory, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const layer = execFileSync('tar', ['-C', root, '--owner=0', '--group=0', '--numeric-owner', '-c', '.'], {
    maxBuffer: 2 ** 28,
  });
  rmSync(root, { recursive: true });
  const add = (content: Buffer, mediaType: string) => {
    const hex = createHash('sha256').update(content).digest('hex');
    writeFileSync(join(blobs, hex), content);
    return { mediaType, digest: `sha256:${hex}`, size: content.length };
  };
  const addJson = (value: object, mediaType: string) => add(Buffer.from(JSON.stringify(value)), mediaType);
  const layerDescriptor = add(layer, 'application/vnd.oci.image.layer.v1.tar');
  const image = {
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: [layerDescriptor.digest] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: addJson(image, 'application/vnd.oci.image.config.v1+json'),
    layers: [layerDescriptor],
  };
  const index = { schemaVersion: 2, manifests: [addJson(manifest, 'application/vnd.oci.image.manifest.v1+json')] };
  writeFileSync(join(directory, 'index.json'), JSON.stringify(index));
  writeFileSync(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return `oci:${directory}`;
}

/** Digest of the manifest of such an image. */
export function manifestDigest(reference: string): string {
  const index = JSON.parse(readFileSync(join(reference.slice('oci:'.length), 'index.json'), 'utf8'));
  return index.manifests[0].digest;
}
