/** Layers made to get out of their directory, or to bring in what no image may: each is refused, or does no harm. */

import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Images } from '../../../runtime/images/index.ts';
import { aptProblem } from '../../setup/debian.ts';
import { type ImageBed, makeImageBed } from '../images/support/bed.ts';
import { type LayerBytes, writeLayout } from '../images/support/layout.ts';
import { type Entry, header, tar } from '../images/support/tar.ts';
import { suiteWith } from '../images/support/tools.ts';

const problem =
  process.getuid?.() !== 0 ? 'needs root' : aptProblem('attr', () => execFileSync('getfattr', ['--version']));
const suite = suiteWith(describe, describe.skip, problem);

suite('an image layer', () => {
  let bed: ImageBed;
  let images: Images;
  let outside: string;
  let serial = 0;

  beforeAll(async () => {
    bed = await makeImageBed();
    images = await bed.open({ maxLayerBytes: 64 * 2 ** 20 });
    outside = join(bed.directory, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'secret'), 'untouched', { mode: 0o600 });
  }, 60_000);
  afterAll(async () => {
    expect(readdirSync(outside)).toEqual(['secret']);
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('untouched');
    expect(statSync(join(outside, 'secret')).nlink).toBe(1);
    await bed?.close();
  });

  async function provision(layers: (Entry[] | LayerBytes)[], diffIds?: string[]): Promise<string[]> {
    const layout = join(bed.directory, `hostile-${++serial}`);
    const blobs = layers.map((layer) => (Array.isArray(layer) ? { blob: tar(layer) } : layer));
    writeLayout(layout, 'x', blobs, diffIds ? { diffIds } : {});
    return (await images.provision({ reference: `oci:${layout}:x`, holder: `h${serial}` })).layers;
  }
  async function refusal(...layers: (Entry[] | LayerBytes)[]): Promise<string> {
    const before = readdirSync(join(bed.store, 'layers')).length;
    const message = await provision(layers).then(
      () => 'accepted',
      (error: Error) => error.message,
    );
    expect(readdirSync(join(bed.store, 'layers'))).toHaveLength(before);
    return message;
  }

  test.each(['../escaped', 'a/../../escaped', 'a/b/..', '..', '/../escaped', 'a/./../x'])(
    'with the name %s is refused',
    async (path) => {
      expect(await refusal([{ path, content: 'x' }])).toMatch(/".*" has a "\.\." in its name/);
      expect(await refusal([{ path: 'x', pax: { path }, content: 'x' }])).toMatch(/has a "\.\." in its name/);
      expect(await refusal([{ path: '././@LongLink', type: 'L', content: `${path}\0` }, { path: 'x' }])).toMatch(
        /has a "\.\." in its name/,
      );
    },
  );

  test('with an absolute name puts the file below its own root', async () => {
    const [layer] = await provision([[{ path: join(outside, 'secret'), content: 'written' }]]);
    expect(readFileSync(join(layer!, outside, 'secret'), 'utf8')).toBe('written');
  });

  test('cannot write through its symbolic links: they lead to places below its own root', async () => {
    const [layer] = await provision([
      [
        { path: 'absolute', type: '2', link: outside },
        { path: 'relative', type: '2', link: `../../../../../../../../../../../..${outside}` },
        { path: `${outside.slice(1)}/` },
        { path: 'absolute/secret', content: 'through absolute' },
        { path: 'relative/other', content: 'through relative' },
      ],
    ]);
    expect(readdirSync(join(layer!, outside)).sort()).toEqual(['other', 'secret']);
  });

  test('cannot write through a symbolic link that leads nowhere in it', async () => {
    const message = await refusal([
      { path: 'link', type: '2', link: outside },
      { path: 'link/secret', content: 'x' },
    ]);
    expect(message).toMatch(/cannot open the directory of "link\/secret"/);
  });

  test('cannot replace the file behind a symbolic link: the link itself makes way', async () => {
    const [layer] = await provision([
      [
        { path: 'link', type: '2', link: join(outside, 'secret') },
        { path: 'link', content: 'a file now', mode: 0o777 },
        { path: 'dir', type: '2', link: outside },
        { path: 'dir/', mode: 0o777, uid: 1234 },
      ],
    ]);
    expect(readFileSync(join(layer!, 'link'), 'utf8')).toBe('a file now');
    expect(lstatSync(join(layer!, 'dir')).isDirectory()).toBe(true);
    expect(statSync(join(outside, 'secret')).mode & 0o777).toBe(0o600);
    expect(statSync(outside).uid).toBe(0);
  });

  test('cannot link to files outside, not even through links or lower layers', async () => {
    const secret = join(outside, 'secret');
    expect(await refusal([{ path: 'hard', type: '1', link: secret }])).toContain('which is not in the layer');
    expect(await refusal([{ path: 'hard', type: '1', link: '../../../outside/secret' }])).toContain('".."');
    expect(
      await refusal([
        { path: 'out', type: '2', link: outside },
        { path: 'hard', type: '1', link: 'out/secret' },
      ]),
    ).toContain('which is not in the layer');
    expect(await refusal([{ path: 'a/' }, { path: 'hard', type: '1', link: 'a' }])).toContain(
      'leads to something that is no file',
    );
    await provision([[{ path: 'lower', content: 'x' }]]);
    expect(await refusal([{ path: 'hard', type: '1', link: 'lower' }])).toContain('which is not in the layer');
  });

  test('links to a symbolic link as such, and later entries do not write through either', async () => {
    const [layer] = await provision([
      [
        { path: 'soft', type: '2', link: join(outside, 'secret') },
        { path: 'hard', type: '1', link: 'soft' },
        { path: 'hard', content: 'mine' },
      ],
    ]);
    expect(lstatSync(join(layer!, 'soft')).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(layer!, 'hard'), 'utf8')).toBe('mine');
  });

  test('has no devices: they are left out, and whiteouts cannot be used as such', async () => {
    const [layer] = await provision([
      [
        { path: 'dev/' },
        { path: 'dev/sda', type: '4', device: [8, 0], mode: 0o666 },
        { path: 'dev/mem', type: '3', device: [1, 1], mode: 0o666 },
        { path: 'dev/zero', type: '3', device: [0, 0] },
        { path: '.wh.gone' },
        { path: 'fifo', type: '6' },
      ],
    ]);
    expect(readdirSync(join(layer!, 'dev'))).toEqual([]);
    expect(lstatSync(join(layer!, 'gone')).rdev).toBe(0);
    expect(lstatSync(join(layer!, 'fifo')).isFIFO()).toBe(true);
    expect(await refusal([{ path: '.wh.gone' }, { path: 'link', type: '1', link: 'gone' }])).toContain('no file');
  });

  test('cannot give orders to overlayfs or to security modules by extended attributes', async () => {
    const xattr = (name: string, value: string) => ({ [`SCHILY.xattr.${name}`]: value });
    const [layer] = await provision([
      [
        {
          path: 'd/',
          pax: {
            ...xattr('trusted.overlay.redirect', '/etc'),
            ...xattr('trusted.overlay.opaque', 'y'),
            ...xattr('trusted.overlay.metacopy', ''),
            ...xattr('user.overlay.redirect', '/etc'),
            ...xattr('security.selinux', 'x'),
            ...xattr('system.something', 'x'),
            ...xattr('user.mine', 'kept'),
          },
        },
      ],
    ]);
    const attributes = execFileSync('getfattr', ['-d', '-m', '-', '--absolute-names', join(layer!, 'd')], {
      encoding: 'utf8',
    });
    expect(attributes).toContain('user.mine="kept"');
    expect(attributes.match(/^\S+=/gm)).toEqual(['user.mine=']);
  });

  test.each([
    ['a whiteout of nothing', [{ path: '.wh.' }], 'hides nothing'],
    ['a whiteout of the parent', [{ path: 'a/.wh...' }], 'hides nothing'],
    ['an owner of -1', [{ path: 'x', pax: { uid: '4294967295' } }], 'has the uid 4294967295'],
    ['a name with a NUL', [{ path: 'x', pax: { path: 'a\0b' } }], 'has a NUL'],
    ['a name longer than paths', [{ path: 'x', pax: { path: 'a/'.repeat(3000) } }], 'too long a name'],
    ['a part longer than names', [{ path: 'x', pax: { path: 'a'.repeat(256) } }], 'too long a name'],
    ['an unknown type', [{ path: 'x', type: 'Z' }], 'are not read'],
    ['the root as a file', [{ path: '.', type: '0' }], 'path is empty'],
    ['the root as a link', [{ path: './', type: '2', link: '/etc' }], 'path is empty'],
  ] satisfies [string, Entry[], string][])('with %s is refused', async (_name, entries, reason) => {
    expect(await refusal(entries)).toContain(reason);
  });

  test('that blows up is stopped', async () => {
    const bomb = tar([{ path: 'zeros', content: Buffer.alloc(80 * 2 ** 20) }]);
    expect(await refusal({ blob: gzipSync(bomb), tar: bomb })).toContain('unpacks to more than 67108864 bytes');
    const claims = Buffer.concat([header({ path: 'big', size: 8 ** 11 - 1 }, 0), Buffer.alloc(1024)]);
    expect(await refusal({ blob: claims })).toContain('ends in the middle of an entry');
  }, 60_000);

  test('that is huge but sparse takes no space', async () => {
    const pax = {
      'GNU.sparse.major': '0',
      'GNU.sparse.minor': '1',
      'GNU.sparse.map': '0,3',
      'GNU.sparse.size': String(2 ** 40),
    };
    const [layer] = await provision([[{ path: 'sparse', content: 'abc', pax }]]);
    const { size, blocks } = statSync(join(layer!, 'sparse'));
    expect(size).toBe(2 ** 40);
    expect(blocks).toBeLessThan(100);
    for (const map of ['0,4', '5,3,0,3', '0,3,1,0', `${2 ** 41},3`, '0'])
      expect(await refusal([{ path: 'sparse', content: 'abc', pax: { ...pax, 'GNU.sparse.map': map } }])).toContain(
        'sparse file',
      );
  });

  test('whose content is not what its digests say is refused', async () => {
    const blob = tar([{ path: 'x', content: 'x' }]);
    const wrong = `sha256:${'0'.repeat(64)}`;
    await expect(provision([{ blob }], [wrong])).rejects.toThrow("and the image's configuration says");
    const layout = join(bed.directory, 'tampered');
    writeLayout(layout, 'x', [{ blob }]);
    for (const name of readdirSync(join(layout, 'blobs/sha256'))) {
      const path = join(layout, 'blobs/sha256', name);
      const bytes = readFileSync(path);
      if (bytes.length !== blob.length) continue;
      bytes[512]! ^= 1;
      writeFileSync(path, bytes);
    }
    await expect(images.provision({ reference: `oci:${layout}:x`, holder: 'x' })).rejects.toThrow(/digest|content/);
  });

  test.each([
    ['no tar', Buffer.from('this is a text and no tar at all'.repeat(40))],
    ['a tar that is cut off', tar([{ path: 'x', content: Buffer.alloc(2000) }], { end: false }).subarray(0, 1500)],
    ['broken gzip', Buffer.concat([gzipSync(tar([{ path: 'x' }])).subarray(0, 30), Buffer.alloc(50, 7)])],
    ['bzip2', Buffer.from('BZh91AY&SY')],
  ])('that is %s is refused', async (_name, blob) => {
    expect(await refusal({ blob })).toContain('a layer is refused');
  });

  test('with names of any bytes and any depth can be unpacked and removed again', async () => {
    const deep: Entry[] = [{ path: 'd/' }];
    // Through links a tree gets deeper than any single name may say.
    let link = 'd';
    for (let level = 0; level < 15; level++) {
      const path = `${link}/${'n/'.repeat(40)}`;
      deep.push({ path: 'p', type: '5', pax: { path } });
      deep.push({ path: `k${level}`, type: '2', link: 'x', pax: { linkpath: `/${path}` } });
      link = `k${level}`;
    }
    const layout = join(bed.directory, 'bytes');
    writeLayout(layout, 'x', [{ blob: tar([...deep, { path: Buffer.from([0xff, 0xfe, 0x0a, 0x27]), content: 'x' }]) }]);
    const image = await images.provision({ reference: `oci:${layout}:x`, holder: 'deep' });
    expect(readdirSync(image.layers[0]!, 'buffer').some((name) => name.includes(0xff))).toBe(true);
    await images.release('deep');
    await images.remove(`oci:${layout}:x`);
    expect(() => statSync(image.layers[0]!)).toThrow('ENOENT');
    await images.close();
    expect(readdirSync(join(bed.store, 'staging'))).toEqual([]);
    images = await bed.open({ maxLayerBytes: 64 * 2 ** 20 });
  }, 60_000);

  test('on disk is only read below the directories that the agent allows', async () => {
    const allowed = join(bed.directory, 'allowed');
    const layout = join(bed.directory, 'elsewhere');
    mkdirSync(allowed);
    writeLayout(layout, 'x', [{ blob: tar([{ path: 'x' }]) }]);
    symlinkSync(layout, join(allowed, 'link'));
    for (const path of [layout, join(allowed, 'link')])
      await expect(
        images.provision({ reference: `oci:${path}:x`, holder: 'a', allowedPaths: [allowed] }),
      ).rejects.toThrow('allowedHostPaths');
    await expect(
      images.provision({ reference: `oci:${layout}:x`, holder: 'a', allowedPaths: [layout] }),
    ).resolves.toBeDefined();
    // A file that is none: a pipe must not hold the agent up, a device must not be read.
    execFileSync('mkfifo', [join(allowed, 'pipe')]);
    await expect(
      images.provision({ reference: `oci-archive:${join(allowed, 'pipe')}`, holder: 'a', allowedPaths: [allowed] }),
    ).rejects.toThrow('no regular file');
    rmSync(join(allowed, 'pipe'));
  });
});
