/** An OCI image layout made with nothing but tar: two layers around a static busybox, the second of which takes a file away. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { staticBusybox } from '../setup/busybox.ts';

const COMMANDS = ['sh', 'cat', 'echo', 'id', 'ls', 'stat', 'wc'];

/** Makes it at `path`, to be read by `uid`. The image is `one`: /etc/motd is user 1000's, /removed has `b` and no longer `a`. */
export function busyboxLayout(path: string, uid: number): { path: string } | { why: string } {
  const busybox = staticBusybox();
  if ('why' in busybox) return busybox;
  const blobs = join(path, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (content: Buffer, mediaType: string) => {
    const hash = createHash('sha256').update(content).digest('hex');
    writeFileSync(join(blobs, hash), content);
    return { mediaType, digest: `sha256:${hash}`, size: content.length };
  };
  const json = (content: object, mediaType: string) => put(Buffer.from(JSON.stringify(content)), mediaType);
  const layers = [
    layer((root) => {
      file(root, 'etc/motd', 'hello\n');
      chownSync(join(root, 'etc/motd'), 1000, 1000);
      for (const name of ['a', 'b']) file(root, `removed/${name}`, '');
      mkdirSync(join(root, 'bin'));
      copyFileSync(busybox.path, join(root, 'bin/busybox'));
      for (const name of COMMANDS) symlinkSync('busybox', join(root, 'bin', name));
    }),
    layer((root) => file(root, 'removed/.wh.a', '')),
  ].map((content) => put(content, 'application/vnd.oci.image.layer.v1.tar'));
  const config = json(
    {
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: { Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    },
    'application/vnd.oci.image.config.v1+json',
  );
  const manifest = json({ schemaVersion: 2, config, layers }, 'application/vnd.oci.image.manifest.v1+json');
  const annotations = { 'org.opencontainers.image.ref.name': 'one' };
  writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(path, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  execFileSync('chown', ['-R', String(uid), path]);
  return { path };
}

function layer(make: (root: string) => void): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'tepui-layer-'));
  try {
    const root = join(directory, 'root');
    mkdirSync(root);
    make(root);
    execFileSync('tar', ['--numeric-owner', '-cf', join(directory, 'layer.tar'), '-C', root, '.']);
    return readFileSync(join(directory, 'layer.tar'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function file(root: string, path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}
