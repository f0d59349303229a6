/** Images in files: layouts, `docker save` and `oci-archive`, as real tools write them. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Images } from '../../../runtime/images/index.ts';
import { type ImageBed, makeImageBed, writeFiles } from './support/bed.ts';
import { suiteWith } from './support/tools.ts';

const suite = suiteWith(describe, describe.skip);

suite('images in files', () => {
  let bed: ImageBed;
  let images: Images;
  const at = (name: string) => join(bed.directory, name);
  const skopeo = (source: string, destination: string) =>
    execFileSync('skopeo', ['copy', '--quiet', source, destination], { stdio: ['ignore', 'ignore', 'pipe'] });
  const provision = (reference: string) => images.provision({ reference, holder: 'h' });

  beforeAll(async () => {
    bed = await makeImageBed();
    bed.makeImage(
      'one',
      [(root) => writeFiles(root, { 'etc/one': '1' }), (root) => writeFiles(root, { 'etc/more': '2' })],
      ['--config.cmd=/bin/one', '--config.env=A=1'],
    );
    bed.makeImage('two', [(root) => writeFiles(root, { two: '2' })]);
    skopeo(`oci:${bed.layout}:one`, `docker-archive:${at('one.tar')}:example/one:1`);
    skopeo(`oci:${bed.layout}:one`, `oci-archive:${at('one-oci.tar')}:name`);
    images = await bed.open();
  }, 120_000);
  afterAll(() => bed?.close());

  test.each([
    'oci:LAYOUT:one',
    'docker-archive:DIR/one.tar',
    'docker-archive:DIR/one.tar:example/one:1',
    'docker-archive:DIR/one.tar:@0',
    'oci-archive:DIR/one-oci.tar',
    'oci-archive:DIR/one-oci.tar:name',
  ])(
    'are read from %s',
    async (text) => {
      const image = await provision(text.replace('LAYOUT', bed.layout).replace('DIR', bed.directory));
      expect(image.layers.map((path) => readdirSync(join(path, 'etc')))).toEqual([['more'], ['one']]);
      expect(image.config).toMatchObject({ cmd: ['/bin/one'] });
      expect(image.config.env).toContain('A=1');
    },
    60_000,
  );

  test.each(['gzip', 'zstd'])('are read from archives that are compressed with %s', async (program) => {
    for (const [kind, name] of [
      ['docker-archive', 'one.tar'],
      ['oci-archive', 'one-oci.tar'],
    ] as const) {
      const path = at(`${name}.${program}`);
      writeFileSync(path, execFileSync(program, ['-c', at(name)], { maxBuffer: 1 << 28 }));
      const image = await provision(`${kind}:${path}`);
      expect(image.layers).toHaveLength(2);
    }
    expect(readdirSync(join(bed.store, 'staging'))).toEqual([]);
  });

  test('of several need a name, and what there is is said', async () => {
    await expect(provision(`oci:${bed.layout}`)).rejects.toThrow(
      'has several images; add one of "one", "two" as ":NAME"',
    );
    await expect(provision(`oci:${bed.layout}:three`)).rejects.toMatchObject({ notFound: true });
    await expect(provision(`docker-archive:${at('one.tar')}:example/other`)).rejects.toThrow(
      'has no image "example/other", only "docker.io/example/one:1"',
    );
    await expect(provision(`oci:${at('nowhere')}:x`)).rejects.toMatchObject({ notFound: true });
  });

  test('that were saved by Docker with a link for a shared layer are read', async () => {
    const dir = at('save');
    execFileSync('sh', ['-ec', 'mkdir "$0"; tar -xf "$1" -C "$0"', dir, at('one.tar')]);
    const [item] = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as [
      { Layers: string[]; RepoTags: string[] },
    ];
    execFileSync('sh', [
      '-ec',
      'cd "$0"; mkdir -p aa bb; mv "$1" aa/layer.tar; ln -s ../aa/layer.tar bb/layer.tar',
      dir,
      item.Layers[0]!,
    ]);
    item.Layers[0] = 'bb/layer.tar';
    writeFileSync(join(dir, 'manifest.json'), JSON.stringify([item, { ...item, RepoTags: ['second:2'] }]));
    execFileSync('tar', ['-cf', at('linked.tar'), '-C', dir, '.']);
    expect((await provision(`docker-archive:${at('linked.tar')}:second:2`)).layers).toHaveLength(2);
    await expect(provision(`docker-archive:${at('linked.tar')}`)).rejects.toThrow('has several images');
  });

  test('that are no images, or cut off, are refused', async () => {
    writeFileSync(at('text'), 'hello '.repeat(200));
    await expect(provision(`docker-archive:${at('text')}`)).rejects.toThrow('this is no tar');
    writeFileSync(at('short.tar'), readFileSync(at('one.tar')).subarray(0, 3000));
    await expect(provision(`docker-archive:${at('short.tar')}`)).rejects.toThrow(
      /ends in the middle|has no "manifest.json"/,
    );
    await expect(provision(`oci-archive:${at('one.tar')}`)).rejects.toThrow('the archive has no "index.json"');
    const layout = at('broken');
    execFileSync('cp', ['-r', bed.layout, layout]);
    rmSync(join(layout, 'blobs'), { recursive: true });
    await expect(provision(`oci:${layout}:one`)).rejects.toMatchObject({ notFound: true });
  });

  test('are looked at again each time: a file that is replaced is another image', async () => {
    const path = at('changing.tar');
    skopeo(`oci:${bed.layout}:one`, `docker-archive:${path}:x/y:1`);
    const first = await provision(`docker-archive:${path}`);
    rmSync(path);
    skopeo(`oci:${bed.layout}:two`, `docker-archive:${path}:x/y:1`);
    const second = await provision(`docker-archive:${path}`);
    expect(second.digest).not.toBe(first.digest);
    rmSync(path);
    await expect(provision(`docker-archive:${path}`)).rejects.toMatchObject({ notFound: true });
    const kept = await images.provision({
      reference: `docker-archive:${path}`,
      pullPolicy: 'IfNotPresent',
      holder: 'h',
    });
    expect(kept.digest).toBe(second.digest);
  }, 60_000);
});
