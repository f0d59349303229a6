/** Pulls that are disturbed: cut connections, several at once, callers that give up, processes that are killed. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Images } from '../../../runtime/images/index.ts';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { type ImageBed, makeImageBed } from './support/bed.ts';
import { writeLayout } from './support/layout.ts';
import { startRegistry, type TestRegistry } from './support/registry.ts';
import { startProxy, type TestProxy } from './support/slow-proxy.ts';
import { tar } from './support/tar.ts';
import { suiteWith } from './support/tools.ts';

const suite = suiteWith(describe, describe.skip);
const MIB = 2 ** 20;

suite('a pull that is disturbed', () => {
  let bed: ImageBed;
  let registry: TestRegistry;
  let proxy: TestProxy;
  let serial = 0;
  const layers = Array.from({ length: 4 }, (_, index) =>
    tar([{ path: `file-${index}`, content: randomBytes(3 * MIB) }]),
  );

  beforeAll(async () => {
    bed = await makeImageBed();
    registry = await startRegistry(join(bed.directory, 'registry'));
    const layout = join(bed.directory, 'big');
    writeLayout(
      layout,
      'x',
      layers.map((blob) => ({ blob })),
    );
    registry.push(`oci:${layout}:x`, 'big:1');
    proxy = await startProxy(registry.host);
    bed.configure({ registries: [{ prefix: proxy.host, plainHttp: true }] });
  }, 120_000);
  afterAll(async () => {
    await proxy?.close();
    await registry?.close();
    await bed?.close();
  }, 60_000);

  const freshStore = (options = {}): Promise<Images> =>
    bed.open({ directory: join(bed.directory, `store-${++serial}`), ...options });
  const reference = (): string => `${proxy.host}/big:1`;
  const isWhole = (paths: string[]): boolean =>
    paths.every((path, index) => {
      const number = layers.length - 1 - index;
      return statSync(join(path, `file-${number}`)).size === 3 * MIB;
    });
  const blobRequests = (): string[] =>
    proxy.requests.filter((line) => line.startsWith('GET') && line.includes('/blobs/'));

  test('goes on where the connection was cut, as often as it makes progress', async () => {
    const images = await freshStore();
    proxy.cutAfter(1.2 * MIB, 7);
    const image = await images.provision({ reference: reference(), holder: 'h' });
    proxy.cutAfter(0, 0);
    expect(isWhole(image.layers)).toBe(true);
    await images.close();
  }, 60_000);

  test('is given up when nothing comes any more, with what to expect of another try', async () => {
    const images = await freshStore({ retryDelaysMs: [10, 10] });
    proxy.cutAfter(0, 1000);
    await expect(images.provision({ reference: reference(), holder: 'h' })).rejects.toMatchObject({
      name: 'ImagePullFailed',
      retryable: true,
      message: expect.stringContaining('closed the connection'),
    });
    proxy.cutAfter(0, 0);
    await expect(images.provision({ reference: reference(), holder: 'h' })).resolves.toBeDefined();
    await images.close();
  }, 60_000);

  test('that stands still is noticed', async () => {
    const images = await freshStore({ retryDelaysMs: [10], stallMs: 400 });
    proxy.throttle(0);
    await expect(images.provision({ reference: reference(), holder: 'h' })).rejects.toMatchObject({
      retryable: true,
      message: expect.stringMatching(/stands still|did not answer/),
    });
    proxy.throttle(undefined);
    await images.close();
  }, 60_000);

  test('is done once for all who want the image at the same time', async () => {
    const images = await freshStore();
    proxy.requests.length = 0;
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, index) => images.provision({ reference: reference(), holder: `h${index}` })),
    );
    expect(all.every(({ layers: paths }) => isWhole(paths))).toBe(true);
    expect(blobRequests()).toHaveLength(1 + layers.length);
    expect(images.list()[0]?.holders).toHaveLength(8);
    await images.close();
  }, 60_000);

  test('shares layers between different images', async () => {
    const layout = join(bed.directory, 'sharing');
    writeLayout(
      layout,
      'x',
      [...layers, tar([{ path: 'more' }])].map((blob) => ({ blob })),
    );
    registry.push(`oci:${layout}:x`, 'other:1');
    const images = await freshStore();
    proxy.requests.length = 0;
    await Promise.all(
      ['big:1', 'other:1'].map((name) =>
        images.provision({ reference: `${proxy.host}/${name}`, holder: name.slice(0, 3) }),
      ),
    );
    // Two configurations, and each layer once.
    expect(blobRequests()).toHaveLength(2 + layers.length + 1);
    await images.close();
  }, 60_000);

  test('goes on for the others when one gives up, and ends when all have', async () => {
    const images = await freshStore();
    proxy.throttle(6 * MIB);
    const [one, two] = [new AbortController(), new AbortController()];
    const first = images.provision({ reference: reference(), holder: 'one', signal: one.signal });
    const second = images.provision({
      reference: reference(),
      holder: 'two',
      signal: two.signal,
      onProgress: ({ doneBytes }) => doneBytes > 0 && one.abort(new Error('one gave up')),
    });
    await expect(first).rejects.toThrow('one gave up');
    expect(isWhole((await second).layers)).toBe(true);
    await images.close();

    const again = await freshStore();
    const third = again.provision({
      reference: reference(),
      holder: 'three',
      signal: two.signal,
      onProgress: ({ doneBytes }) => doneBytes > 0 && two.abort(new Error('all gave up')),
    });
    await expect(third).rejects.toThrow('all gave up');
    proxy.throttle(undefined);
    expect(again.list()).toEqual([]);
    await again.close();
    const store = join(bed.directory, `store-${serial}`);
    expect(readdirSync(join(store, 'staging'))).toEqual([]);
  }, 60_000);

  test('ends when the store is closed', async () => {
    const images = await freshStore();
    proxy.throttle(MIB);
    const pulled = images.provision({ reference: reference(), holder: 'h' });
    const outcome = expect(pulled).rejects.toThrow('the agent stops');
    await sleep(200);
    await images.close();
    await outcome;
    proxy.throttle(undefined);
  }, 60_000);

  test('leaves nothing behind when the process is killed, and what was whole need not come again', async () => {
    const store = join(bed.directory, 'killed');
    const binary = await buildLauncher();
    const script = new URL('./support/pulling-process.ts', import.meta.url).pathname;
    const run = (killAt: number | undefined): Promise<string[]> =>
      new Promise((resolve) => {
        const child = spawn(process.execPath, [script, store, bed.registriesFile, binary, reference()], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const lines: string[] = [];
        createInterface({ input: child.stdout }).on('line', (line) => {
          lines.push(line);
          const [phase, done] = line.split(' ');
          if (killAt !== undefined && phase === 'Pulling' && Number(done) >= killAt) child.kill('SIGKILL');
        });
        child.once('close', () => resolve(lines));
      });
    proxy.throttle(8 * MIB);
    for (const killAt of [1, 2 * MIB, 7 * MIB]) {
      await run(killAt);
      // Launchers of a killed agent end by themselves: nothing goes on writing.
      for (const name of readdirSync(join(store, 'layers')))
        expect(readdirSync(join(store, 'layers', name)).sort()).toEqual(['fs', 'layer.json']);
    }
    const isLayer = (name: string): boolean =>
      (
        JSON.parse(readFileSync(join(store, 'layers', name, 'layer.json'), 'utf8')) as { data: { id: string } }
      ).data.id.startsWith('sha256:');
    const whole = readdirSync(join(store, 'layers')).filter(isLayer).length;
    proxy.throttle(undefined);
    proxy.requests.length = 0;
    const lines = await run(undefined);
    expect(lines.at(-1)).toBe('done 4');
    expect(blobRequests()).toHaveLength(1 + layers.length - whole);
    expect(readdirSync(join(store, 'staging'))).toEqual([]);
    // An earlier boot's layers that were never synced are not trusted; synced ones are.
    const images = await bed.open({ directory: store, bootId: 'another-boot' });
    expect(images.list()).toHaveLength(1);
    await images.close();
    for (const name of readdirSync(join(store, 'layers'))) {
      const file = join(store, 'layers', name, 'layer.json');
      const record = JSON.parse(readFileSync(file, 'utf8')) as { data: { isSynced: boolean } };
      expect(record.data.isSynced).toBe(true);
      record.data.isSynced = false;
      writeFileSync(file, JSON.stringify(record));
    }
    const distrusting = await bed.open({ directory: store, bootId: 'a-third-boot' });
    expect(distrusting.list()).toEqual([]);
    expect(readdirSync(join(store, 'layers'))).toEqual([]);
    await distrusting.close();
  }, 120_000);
});
