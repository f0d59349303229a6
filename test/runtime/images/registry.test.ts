/** Pulls from a real registry of images made with real tools. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ImageProgress, type Images, parseDockerConfig } from '../../../runtime/images/index.ts';
import { type ImageBed, makeImageBed, writeFiles } from './support/bed.ts';
import { writeLayout } from './support/layout.ts';
import { startRegistry, type TestRegistry } from './support/registry.ts';
import { suiteWith } from './support/tools.ts';

/** What zstd:chunked appends. */
const skippableFrame = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);

const suite = suiteWith(describe, describe.skip);

suite('images from a registry', () => {
  let bed: ImageBed;
  let registry: TestRegistry;
  let secured: TestRegistry;
  let images: Images;
  const login = { user: 'reader', password: 'a:b c' };

  beforeAll(async () => {
    bed = await makeImageBed();
    registry = await startRegistry(join(bed.directory, 'registry'));
    secured = await startRegistry(join(bed.directory, 'secured'), { tls: true, login });
    bed.makeImage(
      'app',
      [
        (root) => {
          writeFiles(root, {
            'etc/passwd': 'root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n',
            'etc/group': 'root:x:0:\napp:x:1001:\nlogs:x:2000:other,app\n',
            'etc/removed': 'later',
            'opt/old/file': 'hidden',
            'bin/busybox': readFileSync('/bin/busybox'),
          });
          chmodSync(join(root, 'bin/busybox'), 0o755);
          symlinkSync('busybox', join(root, 'bin/sh'));
          mkdirSync(join(root, 'tmp'));
          chmodSync(join(root, 'tmp'), 0o1777);
        },
        (root) => {
          rmSync(join(root, 'etc/removed'));
          rmSync(join(root, 'opt/old'), { recursive: true });
          writeFiles(root, { 'opt/old/new': 'fresh', 'usr/bin/tool': 'tool' });
          chmodSync(join(root, 'usr/bin/tool'), 0o4755);
          chownSync(join(root, 'usr/bin/tool'), 1000, 1001);
          chmodSync(join(root, 'usr/bin/tool'), 0o4755);
          linkSync(join(root, 'usr/bin/tool'), join(root, 'usr/bin/other'));
        },
      ],
      ['--config.entrypoint=/bin/sh', '--config.cmd=-c', '--config.cmd=id', '--config.env=LANG=C', '--config.user=app'],
    );
    registry.push(`oci:${bed.layout}:app`, 'team/app:1');
    secured.push(`oci:${bed.layout}:app`, 'private/app:1');
    bed.configure({
      registries: [
        { prefix: registry.host, plainHttp: true },
        { prefix: secured.host, caFile: secured.caFile },
      ],
    });
    images = await bed.open();
  }, 120_000);
  afterAll(async () => {
    await images?.close();
    await registry?.close();
    await secured?.close();
    await bed?.close();
  }, 60_000);

  test('are unpacked with owners, modes, links, whiteouts, and the configuration that containers follow', async () => {
    const seen: ImageProgress[] = [];
    const image = await images.provision({
      reference: `${registry.host}/team/app:1`,
      holder: 'c1',
      onProgress: (progress) => seen.push(progress),
    });
    expect(image.layers).toHaveLength(2);
    expect(image.config).toMatchObject({
      entrypoint: ['/bin/sh'],
      cmd: ['-c', 'id'],
      user: 'app',
    });
    expect(image.config.env).toContain('LANG=C');
    const [upper, lower] = image.layers as [string, string];
    expect(statSync(join(lower, 'tmp')).mode & 0o7777).toBe(0o1777);
    expect(readlinkSync(join(lower, 'bin/sh'))).toBe('busybox');
    const tool = statSync(join(upper, 'usr/bin/tool'));
    expect([tool.mode & 0o7777, tool.uid, tool.gid, tool.nlink]).toEqual([0o4755, 1000, 1001, 2]);
    const removed = lstatSync(join(upper, 'etc/removed'));
    expect([removed.isCharacterDevice(), removed.rdev]).toEqual([true, 0]);
    expect(seen.at(0)?.phase).toBe('Resolving');
    const last = seen.at(-1)!;
    expect(last).toMatchObject({ phase: 'Complete', item: `${registry.host}/team/app:1` });
    expect(last.totalBytes).toBeGreaterThan(500_000);
    expect(last.doneBytes).toBe(last.totalBytes);
  }, 60_000);

  test('look the same through overlayfs as the bundle that umoci unpacks', async () => {
    const { layers } = await images.provision({ reference: `${registry.host}/team/app:1`, holder: 'c2' });
    const reference = join(bed.directory, 'reference');
    execFileSync('umoci', ['unpack', '--image', `${bed.layout}:app`, reference], { stdio: 'ignore' });
    const mounted = join(bed.directory, 'mounted');
    await mkdir(mounted);
    execFileSync('mount', ['-t', 'overlay', '-o', `ro,lowerdir=${layers.join(':')}`, 'overlay', mounted]);
    try {
      const list = (root: string) =>
        execFileSync(
          'sh',
          [
            '-c',
            `cd "$0" && find . -printf '%p %y %m %U %G %n %l %Ts\\n' | sort && find . -type f | sort | xargs sha256sum`,
            root,
          ],
          {
            encoding: 'utf8',
          },
        )
          // The root is no entry of these layers; times of directories without one, and their link counts, nobody says.
          .split('\n')
          .filter((line) => !line.startsWith('. '))
          .map((line) => line.replace(/^(\S+ d \d+ \d+ \d+) .*/, '$1'));
      expect(list(mounted)).toEqual(list(join(reference, 'rootfs')));
      expect(readdirSync(join(mounted, 'opt/old'))).toEqual(['new']);
    } finally {
      execFileSync('umount', [mounted]);
    }
  }, 60_000);

  test("find users in the image's own files, with their groups", async () => {
    const image = await images.provision({ reference: `${registry.host}/team/app:1`, holder: 'c3' });
    await expect(image.lookupUser()).resolves.toEqual({
      uid: 1000,
      gid: 1001,
      supplementalGids: [2000],
      name: 'app',
      home: '/home/app',
    });
    await expect(image.lookupUser('app:logs')).resolves.toMatchObject({ uid: 1000, gid: 2000, supplementalGids: [] });
    await expect(image.lookupUser('4242')).resolves.toMatchObject({ uid: 4242, gid: 0, home: '/' });
    await expect(image.lookupUser('nobody')).rejects.toMatchObject({ name: 'ImageUserUnknown' });
  }, 60_000);

  test('are read the same when their layers are compressed with zstd, in several frames, or not at all', async () => {
    const root = join(bed.directory, 'tree');
    writeFiles(root, { 'a/file': 'x'.repeat(100_000), 'b/other': 'y' });
    const plain = execFileSync('tar', ['-c', '-C', root, 'a', 'b']);
    const half = Math.floor(plain.length / 2);
    const zstd = (bytes: Buffer) => execFileSync('zstd', ['-q', '-c', '-19'], { input: bytes });
    const type = 'application/vnd.oci.image.layer.v1.tar';
    const layout = join(bed.directory, 'compressions');
    writeLayout(layout, 'zstd', [{ blob: zstd(plain), tar: plain, mediaType: `${type}+zstd` }]);
    writeLayout(layout, 'plain', [{ blob: plain }]);
    const frames = [zstd(plain.subarray(0, half)), skippableFrame, zstd(plain.subarray(half)), skippableFrame];
    writeLayout(layout, 'frames', [{ blob: Buffer.concat(frames), tar: plain, mediaType: `${type}+zstd` }]);
    const members = [gzipSync(plain.subarray(0, half)), gzipSync(plain.subarray(half))];
    writeLayout(layout, 'members', [{ blob: Buffer.concat(members), tar: plain, mediaType: `${type}+gzip` }]);
    for (const name of ['zstd', 'plain', 'frames', 'members']) {
      registry.push(`oci:${layout}:${name}`, `team/compressions:${name}`);
      const store = await bed.open({ directory: join(bed.directory, `store-${name}`) });
      const image = await store.provision({ reference: `${registry.host}/team/compressions:${name}`, holder: 'z' });
      expect(execFileSync('diff', ['-r', root, image.layers[0]!], { encoding: 'utf8' })).toBe('');
      await store.close();
    }
  }, 120_000);

  test('with logins: by pull secret, refused without, and never asked for over plain HTTP', async () => {
    const reference = `${secured.host}/private/app:1`;
    await expect(images.provision({ reference, holder: 'c5' })).rejects.toMatchObject({
      name: 'ImagePullFailed',
      unauthorized: true,
      message: expect.stringContaining('asks for a login, and there is none'),
    });
    const auth = (password: string) => Buffer.from(`${login.user}:${password}`).toString('base64');
    const config = (prefix: string, password: string) =>
      parseDockerConfig(JSON.stringify({ auths: { [prefix]: { auth: auth(password) } } }), 'secret default/pull');
    await expect(
      images.provision({ reference, holder: 'c5', credentials: [config(secured.host, 'wrong')] }),
    ).rejects.toMatchObject({ unauthorized: true, message: expect.stringContaining('does not accept the login') });
    // A login for another repository of the same registry is not this one's.
    await expect(
      images.provision({ reference, holder: 'c5', credentials: [config(`${secured.host}/other`, login.password)] }),
    ).rejects.toMatchObject({ unauthorized: true });
    const image = await images.provision({
      reference,
      holder: 'c5',
      credentials: [
        config(`${secured.host}/other`, 'wrong'),
        // As with a kubelet the next one is tried.
        config(`${secured.host}/private`, 'old'),
        config(`${secured.host}/private`, login.password),
      ],
    });
    expect(image.layers).toHaveLength(2);
  }, 60_000);

  test('are refused when the registry is not trusted or not marked as plain HTTP', async () => {
    const strict = await bed.open({
      directory: join(bed.directory, 'strict'),
      registriesFile: join(bed.directory, 'none.yaml'),
    });
    await expect(strict.provision({ reference: `${secured.host}/private/app:1`, holder: 'x' })).rejects.toMatchObject({
      message: expect.stringMatching(/certificate of .* is not trusted .* caFile/),
    });
    await expect(strict.provision({ reference: `${registry.host}/team/app:1`, holder: 'x' })).rejects.toMatchObject({
      message: expect.stringMatching(/does not speak TLS.*plainHttp/),
    });
    await strict.close();
  }, 60_000);

  test('that do not exist are said not to', async () => {
    await expect(images.provision({ reference: `${registry.host}/team/none:1`, holder: 'x' })).rejects.toMatchObject({
      name: 'ImagePullFailed',
      notFound: true,
      retryable: false,
    });
    await expect(
      images.provision({ reference: `${registry.host}/team/none:1`, pullPolicy: 'Never', holder: 'x' }),
    ).rejects.toMatchObject({ name: 'ImageNotPresent' });
  });

  test('are taken from a mirror, and from the registry itself when the mirror lacks them', async () => {
    const mirrored = join(bed.directory, 'mirrors.yaml');
    await writeFile(
      mirrored,
      JSON.stringify({
        defaultRegistry: 'hub.invalid',
        registries: [
          {
            prefix: 'hub.invalid/team',
            location: `${registry.host}/team`,
            plainHttp: true,
            mirrors: [{ location: `${registry.host}/mirror-of-nothing`, plainHttp: true }],
          },
        ],
      }),
    );
    const store = await bed.open({ directory: join(bed.directory, 'mirror-store'), registriesFile: mirrored });
    const image = await store.provision({ reference: 'team/app:1', holder: 'x' });
    expect(image.layers).toHaveLength(2);
    expect(store.list().map(({ reference }) => reference)).toEqual(['hub.invalid/team/app:1']);
    await expect(store.provision({ reference: 'team/none:1', holder: 'x' })).rejects.toMatchObject({
      notFound: true,
      message: expect.stringMatching(
        /does not have it \(before it its mirrors: .*mirror-of-nothing\/none does not have it\)/,
      ),
    });
    await store.close();
  }, 60_000);

  test('of an index: the manifest of this platform', async () => {
    const other = process.arch === 'x64' ? 'arm64' : 'amd64';
    bed.makeImage('here', [(root) => writeFiles(root, { here: '1' })]);
    bed.makeImage('there', [(root) => writeFiles(root, { there: '1' })], [`--architecture=${other}`]);
    registry.push(`oci:${bed.layout}:here`, 'team/multi:here');
    registry.push(`oci:${bed.layout}:there`, 'team/multi:there');
    const base = `http://${registry.host}/v2/team/multi/manifests`;
    const type = 'application/vnd.oci.image.manifest.v1+json';
    const manifests = await Promise.all(
      ['there', 'here'].map(async (tag) => {
        const response = await fetch(`${base}/${tag}`, { headers: { accept: type } });
        const bytes = Buffer.from(await response.arrayBuffer());
        const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
        const own = process.arch === 'x64' ? 'amd64' : process.arch;
        return {
          mediaType: type,
          digest,
          size: bytes.length,
          platform: { os: 'linux', architecture: tag === 'here' ? own : other },
        };
      }),
    );
    const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests };
    const put = await fetch(`${base}/all`, {
      method: 'PUT',
      headers: { 'content-type': index.mediaType },
      body: JSON.stringify(index),
    });
    expect(put.status).toBe(201);
    const image = await images.provision({ reference: `${registry.host}/team/multi:all`, holder: 'c6' });
    expect(image.digest).toBe(manifests[1]!.digest);
    expect(readdirSync(image.layers[0]!)).toEqual(['here']);
    await expect(
      images.provision({ reference: `${registry.host}/team/multi:there`, holder: 'c7' }),
    ).rejects.toMatchObject({
      message: expect.stringContaining(`it is made for ${other}`),
    });
  }, 60_000);

  test('with policy Always follow a tag that moves, and give the old image up once nobody uses it', async () => {
    const reference = `${registry.host}/team/moving:1`;
    bed.makeImage('first', [(root) => writeFiles(root, { first: '1' })]);
    bed.makeImage('second', [(root) => writeFiles(root, { second: '1' })]);
    registry.push(`oci:${bed.layout}:first`, 'team/moving:1');
    const first = await images.provision({ reference, holder: 'm1' });
    registry.push(`oci:${bed.layout}:second`, 'team/moving:1');
    const kept = await images.provision({ reference, holder: 'm2' });
    expect(kept.digest).toBe(first.digest);
    const second = await images.provision({ reference, pullPolicy: 'Always', holder: 'm3' });
    expect(second.digest).not.toBe(first.digest);
    expect(readdirSync(first.layers[0]!)).toEqual(['first']);
    await images.release('m1');
    expect(readdirSync(first.layers[0]!)).toEqual(['first']);
    await images.release('m2');
    expect(() => readdirSync(first.layers[0]!)).toThrow('ENOENT');
    expect(readdirSync(second.layers[0]!)).toEqual(['second']);
  }, 60_000);
});
