/** What is kept on disk, for whom, and what goes when. */

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Images } from '../../../runtime/images/index.ts';
import { type ImageBed, makeImageBed } from './support/bed.ts';
import { writeLayout } from './support/layout.ts';
import { type Entry, tar } from './support/tar.ts';
import { suiteWith } from './support/tools.ts';

const suite = suiteWith(describe, describe.skip, process.getuid?.() === 0 ? undefined : 'needs root');

suite('the image store', () => {
  let bed: ImageBed;
  let images: Images;
  beforeEach(async () => {
    bed = await makeImageBed();
    images = await bed.open();
  }, 60_000);
  afterEach(() => bed?.close());

  function image(name: string, ...layers: Entry[][]): string {
    writeLayout(
      bed.layout,
      name,
      layers.map((entries) => ({ blob: tar(entries) })),
    );
    return `oci:${bed.layout}:${name}`;
  }
  const layersOnDisk = (): string[] => readdirSync(join(bed.store, 'layers'));
  const names = (): string[] => images.list().map(({ reference }) => reference.split(':').at(-1)!);

  test('keeps what a container uses, also over a restart, until it is released', async () => {
    const reference = image('a', [{ path: 'a' }]);
    await images.provision({ reference, holder: 'c1' });
    await expect(images.remove(reference)).rejects.toMatchObject({
      name: 'ImageInUse',
      message: expect.stringContaining('c1'),
    });
    expect(await images.prune()).toEqual({ removed: [], freedBytes: 0 });
    await images.close();
    images = await bed.open();
    expect(images.list()).toMatchObject([{ reference, holders: ['c1'] }]);
    expect(await images.prune()).toEqual({ removed: [], freedBytes: 0 });
    await images.retainHolders(['c1', 'unknown']);
    expect(images.list()[0]?.holders).toEqual(['c1']);
    await images.release('c1');
    await images.release('c1');
    expect(await images.prune()).toMatchObject({ removed: [reference] });
    expect(layersOnDisk()).toEqual([]);
    await images.close();
    expect(readdirSync(join(bed.store, 'staging'))).toEqual([]);
  });

  test('forgets holders that are gone after a restart', async () => {
    const reference = image('a', [{ path: 'a' }]);
    await images.provision({ reference, holder: 'c1' });
    await images.provision({ reference, holder: 'c2' });
    await images.close();
    images = await bed.open();
    await images.retainHolders(['c2']);
    expect(images.list()[0]?.holders).toEqual(['c2']);
    expect(readdirSync(join(bed.store, 'holders'))).toEqual(['c2.json']);
  });

  test('has nothing left of what an agent was writing when it was killed', async () => {
    await images.provision({ reference: image('a', [{ path: 'a' }]), holder: 'c1' });
    await images.close();
    const layer = join(bed.store, 'layers', layersOnDisk()[0]!);
    const record = JSON.parse(readFileSync(join(layer, 'layer.json'), 'utf8'));
    writeFileSync(join(layer, 'layer.json'), JSON.stringify({ ...record, data: { ...record.data, isSynced: false } }));
    writeFileSync(join(layer, '.layer.json.1.1.tmp'), 'half');
    writeFileSync(join(bed.store, '.references.json.1.1.tmp'), 'half');
    images = await bed.open();
    expect([...readdirSync(layer), ...readdirSync(bed.store)].filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(names()).toEqual(['a']);
  });

  test('removes a layer with the last image that has it', async () => {
    const shared = [{ path: 'shared', content: 'x'.repeat(1000) }];
    await images.pull({ reference: image('a', shared, [{ path: 'a' }]) });
    await images.pull({ reference: image('b', shared, [{ path: 'b' }]) });
    expect(layersOnDisk()).toHaveLength(3);
    expect(await images.remove(`oci:${bed.layout}:a`)).toEqual({ removed: [`oci:${bed.layout}:a`], freedBytes: 0 });
    expect(layersOnDisk()).toHaveLength(2);
    expect(await images.remove(`oci:${bed.layout}:b`)).toMatchObject({ freedBytes: 1000 });
    expect(layersOnDisk()).toEqual([]);
    await expect(images.remove(`oci:${bed.layout}:b`)).rejects.toMatchObject({ name: 'ImageNotPresent' });
  });

  test('removes the least recently used first, spares the excluded, and stops when there is room', async () => {
    const disk = join(bed.directory, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', disk]);
    const small = await bed.open({ directory: disk, garbageCollectionMs: 50, diskHeadroom: () => 0.5 });
    bed.configure({ excludedImages: [`oci:${bed.layout}:kept`] });
    try {
      for (const name of ['kept', 'old', 'newer', 'used']) {
        await small.pull({ reference: image(name, [{ path: name, content: Buffer.alloc(4 << 20, name) }]) });
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await small.provision({ reference: `oci:${bed.layout}:used`, holder: 'c' });
      // 16 MiB of 40 are used; with the next 8 more than half would be.
      await small.pull({ reference: image('next', [{ path: 'next', content: Buffer.alloc(8 << 20, 1) }]) });
      for (let tries = 0; small.list().length > 4 && tries < 400; tries++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      expect(small.list().map(({ reference }) => reference.split(':').at(-1))).toEqual(
        expect.arrayContaining(['kept', 'next', 'used']),
      );
      expect(small.list().some(({ reference }) => reference.endsWith(':old'))).toBe(false);
      expect((await small.prune()).removed).not.toContain(`oci:${bed.layout}:kept`);
      expect(small.list().map(({ reference }) => reference.split(':').at(-1))).toEqual(['kept', 'used']);
    } finally {
      await small.close();
      execFileSync('umount', [disk]);
    }
  }, 60_000);

  test('says that the disk is full, and takes the half-made layer away', async () => {
    const disk = join(bed.directory, 'full');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
    const small = await bed.open({ directory: disk });
    try {
      const reference = image('big', [{ path: 'big', content: Buffer.alloc(20 << 20, 1) }]);
      await expect(small.provision({ reference, holder: 'c' })).rejects.toMatchObject({
        name: 'ImagePullFailed',
        retryable: true,
      });
      await small.close();
      expect(readdirSync(join(disk, 'layers'))).toEqual([]);
      expect(readdirSync(join(disk, 'staging'))).toEqual([]);
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  test('starts with whatever is in its directory: damaged records and strangers go, the rest stays', async () => {
    const good = image('good', [{ path: 'good' }]);
    const bad = image('bad', [{ path: 'bad' }]);
    await images.pull({ reference: good });
    const { digest } = await images.pull({ reference: bad });
    await images.close();
    const damaged = layersOnDisk().find((name) => readdirSync(join(bed.store, 'layers', name, 'fs'))[0] === 'bad')!;
    truncateSync(join(bed.store, 'layers', damaged, 'layer.json'));
    mkdirSync(join(bed.store, 'layers', 'stranger'));
    mkdirSync(join(bed.store, 'staging', 'left', 'fs'), { recursive: true });
    writeFileSync(join(bed.store, 'holders', 'c9.json'), 'not json');
    images = await bed.open();
    expect(names()).toEqual(['good']);
    expect(readdirSync(join(bed.store, 'images'))).not.toContain(`${digest.slice('sha256:'.length)}.json`);
    await images.close();
    expect(layersOnDisk()).toHaveLength(1);
    expect(readdirSync(join(bed.store, 'staging'))).toEqual([]);
    images = await bed.open();
    await images.provision({ reference: bad, holder: 'c' });
    expect(names()).toEqual(['bad', 'good']);
  });

  test('gives directories that a layer does not describe the attributes of the layers below', async () => {
    const base: Entry[] = [
      { path: 'tmp/', mode: 0o1777 },
      { path: 'home/', uid: 7, gid: 8, mode: 0o750 },
      { path: 'usr/' },
    ];
    const upper: Entry[] = [{ path: 'tmp/file' }, { path: 'home/me/file' }, { path: 'usr/bin/x' }];
    const plain = await images.provision({ reference: image('plain', upper), holder: 'c1' });
    expect(plain.layers).toHaveLength(1);
    const mended = await images.provision({ reference: image('mended', base, upper, [{ path: 'top' }]), holder: 'c2' });
    expect(mended.layers).toHaveLength(4);
    const mounted = join(bed.directory, 'mounted');
    mkdirSync(mounted);
    execFileSync('mount', ['-t', 'overlay', '-o', `ro,lowerdir=${mended.layers.join(':')}`, 'overlay', mounted]);
    try {
      const [tmp, home] = ['tmp', 'home'].map((name) => statSync(join(mounted, name)));
      expect(tmp!.mode & 0o7777).toBe(0o1777);
      expect([home!.mode & 0o7777, home!.uid, home!.gid]).toEqual([0o750, 7, 8]);
      expect(readdirSync(join(mounted, 'tmp'))).toEqual(['file']);
    } finally {
      execFileSync('umount', [mounted]);
    }
    // The layer itself is shared and as it was.
    expect(statSync(join(plain.layers[0]!, 'tmp')).mode & 0o7777).toBe(0o755);
    expect(images.list().find(({ reference }) => reference.endsWith('mended'))?.layers).toBe(3);
  });

  test('finds users through links, whiteouts and opaque directories of the layers', async () => {
    const passwd = (name: string) => `${name}:x:5:6::/home/${name}:/bin/sh\n`;
    const user = async (...layers: Entry[][]) => {
      const name = `u${Math.random().toString(36).slice(2)}`;
      const { lookupUser } = await images.provision({ reference: image(name, ...layers), holder: name });
      return lookupUser('5').then((found) => found.name);
    };
    const lower: Entry[] = [{ path: 'etc/' }, { path: 'etc/passwd', content: passwd('lower') }];
    expect(await user(lower)).toBe('lower');
    expect(await user(lower, [{ path: 'etc/other' }])).toBe('lower');
    expect(await user(lower, [{ path: 'etc/passwd', content: passwd('upper') }])).toBe('upper');
    expect(await user(lower, [{ path: 'etc/.wh.passwd' }])).toBe('5');
    expect(await user(lower, [{ path: '.wh.etc' }])).toBe('5');
    expect(await user(lower, [{ path: 'etc/.wh..wh..opq' }, { path: 'etc/x' }])).toBe('5');
    expect(await user(lower, [{ path: '.wh..wh..opq' }, { path: 'x' }])).toBe('5');
    const elsewhere: Entry[] = [{ path: 'real/passwd', content: passwd('linked') }];
    expect(await user(elsewhere, [{ path: 'etc', type: '2', link: '/real' }])).toBe('linked');
    expect(await user(elsewhere, [{ path: 'etc', type: '2', link: '../../../real' }])).toBe('linked');
    expect(await user([{ path: 'etc/passwd', type: '2', link: '/etc/passwd' }])).toBe('5');
    // The host's own file is none of the image's.
    expect(await user([{ path: 'etc', type: '2', link: '/proc/self/root/etc' }])).toBe('5');
    expect(await user([{ path: 'etc/passwd', type: '6' }])).toBe('5');
  }, 60_000);

  test('an image without layers has an empty root', async () => {
    const { layers } = await images.provision({ reference: image('empty'), holder: 'c' });
    expect(layers).toHaveLength(1);
    expect(readdirSync(layers[0]!)).toEqual([]);
  });

  test('the same layer twice is stacked once, where it is uppermost', async () => {
    const [twice, between]: Entry[][] = [[{ path: 'x', content: 'twice' }], [{ path: 'x', content: 'between' }]];
    const { layers } = await images.provision({ reference: image('twice', twice!, between!, twice!), holder: 'c' });
    expect(layers.map((path) => readFileSync(join(path, 'x'), 'utf8'))).toEqual(['twice', 'between']);
  });

  test('a provisioned image that is here costs no look at where it came from', async () => {
    const reference = image('a', [{ path: 'a' }]);
    await images.pull({ reference });
    chmodSync(bed.layout, 0);
    const start = performance.now();
    for (let index = 0; index < 20; index++)
      await images.provision({ reference, pullPolicy: 'IfNotPresent', holder: `c${index}` });
    expect((performance.now() - start) / 20).toBeLessThan(20);
    expect(images.list()[0]?.holders).toHaveLength(20);
  });
});
