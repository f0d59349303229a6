import { createHash } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { type FetchProgress, openFetcher } from '../../../runtime/fetcher/index.ts';
import { contentOf, type FetchBed, openBed, serve, tree, unavailable, type WebServer } from './harness.ts';

const when = unavailable ? test.skip : test;
if (unavailable) console.log(`skipped: ${unavailable}`);

let server: WebServer;
let bed: FetchBed;
const others: WebServer[] = [];
afterEach(async () => {
  server?.close();
  for (const other of others.splice(0)) other.close();
  await bed?.close();
});

/** Each path has 1,000 bytes that begin with it and the number of the request. */
async function start(cacheBytes = 3500, announced = true): Promise<void> {
  bed = await openBed({ cacheBytes });
  server = await serve((request, response) => {
    const content = `${request.url} ${server.requests.length}`.padEnd(1000);
    if (announced) response.setHeader('content-length', 1000);
    response.write(content.slice(0, 500));
    setTimeout(() => response.end(content.slice(500)), 20);
  });
}

const uri = (name: string, more: object = {}) => ({ value: `${server.url}/${name}`, cache: true, ...more });
const cached = (): number => readdirSync(join(bed.directory, 'cache/files')).length;

when(
  'a file is downloaded once and then comes from the cache, also an archive, which is then not put into the sandbox',
  async () => {
    await start();
    const first = await bed.fetch([uri('a')]);
    const second = await bed.fetch([uri('a')]);
    expect([contentOf(first, 'a'), contentOf(second, 'a')].map((text) => text.trim())).toEqual(['/a 1', '/a 1']);
    expect(server.requests).toEqual(['GET /a']);
    expect(tree(second)).toEqual(['a 644 65534']);
    // One that is not to come from the cache does not.
    await bed.fetch([uri('a', { cache: false })]);
    expect(server.requests).toHaveLength(2);
  },
);

when('concurrent users share one download, each with its own progress', async () => {
  await start();
  const progress: FetchProgress[][] = [[], [], [], []];
  const sandboxes = await Promise.all(
    progress.map((told) => bed.fetch([uri('a')], { onProgress: (each) => told.push(each) })),
  );
  expect(server.requests).toEqual(['GET /a']);
  expect(sandboxes.map((sandbox) => contentOf(sandbox, 'a').trim())).toEqual(Array(4).fill('/a 1'));
  for (const told of progress) expect(told.at(-1)).toMatchObject({ doneBytes: 1000, totalBytes: 1000 });
});

when('the least recently used files make room', async () => {
  await start();
  for (const name of ['a', 'b', 'c', 'a', 'd']) await bed.fetch([uri(name)]); // b goes
  expect(cached()).toBe(3);
  server.requests.length = 0;
  for (const name of ['a', 'c', 'd']) await bed.fetch([uri(name)]);
  expect(server.requests).toEqual([]);
  await bed.fetch([uri('b')]);
  expect(server.requests).toEqual(['GET /b']);
});

when('what is larger than the cache, or of unknown size, is fetched directly', async () => {
  await start(999);
  expect(contentOf(await bed.fetch([uri('a')]), 'a').trim()).toBe('/a 2'); // asked once for the size
  expect(cached()).toBe(0);
  server.close();
  await bed.close();
  await start(3500, false);
  expect(contentOf(await bed.fetch([uri('a')]), 'a')).toContain('/a');
  expect(cached()).toBe(0);
});

when('users do not share, and a digest that the cached file does not have is looked for at the source', async () => {
  await start();
  await bed.fetch([uri('a')]);
  await bed.fetch([uri('a')], { user: { uid: 1234, gid: 1234, name: 'other' } });
  expect(server.requests).toHaveLength(2);
  const third = createHash('sha256').update('/a 3'.padEnd(1000)).digest('hex');
  expect(contentOf(await bed.fetch([uri('a', { sha256: third })]), 'a').trim()).toBe('/a 3');
  await expect(bed.fetch([uri('a', { sha256: '0'.repeat(64) })])).rejects.toThrow('SHA-256');
});

when('a failed download is told to all who wait for it, and forgotten', async () => {
  await start();
  let works = false;
  const flaky = await serve((_, response) => response.writeHead(works ? 200 : 404, { 'content-length': 2 }).end('ok'));
  others.push(flaky);
  const value = { value: `${flaky.url}/x`, cache: true };
  const results = await Promise.allSettled([bed.fetch([value]), bed.fetch([value])]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(cached()).toBe(0);
  works = true;
  expect(contentOf(await bed.fetch([value]), 'x')).toBe('ok');
});

when('one of several who wait can give up; the last one ends the download', async () => {
  await start();
  let closed = 0;
  const endless = await serve((_, response) => {
    response.writeHead(200, { 'content-length': 2000 }).write('x');
    response.once('close', () => closed++);
  });
  others.push(endless);
  const value = { value: `${endless.url}/x`, cache: true };
  const aborts = [new AbortController(), new AbortController()];
  const waiting = aborts.map(({ signal }) => bed.fetch([value], { signal }).catch((error: Error) => error.message));
  await new Promise((resolve) => setTimeout(resolve, 100));
  aborts[0]!.abort(new Error('first'));
  expect(await waiting[0]).toBe('first');
  expect([endless.requests.length, closed]).toEqual([1, 0]);
  aborts[1]!.abort(new Error('second'));
  expect(await waiting[1]).toBe('second');
  expect(cached()).toBe(0);
  for (const end = Date.now() + 5000; closed === 0 && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(closed).toBe(1);
});

when('a new agent process finds nothing of the last one', async () => {
  await start();
  await bed.fetch([uri('a')]);
  writeFileSync(join(bed.directory, 'cache/staging/half'), 'x');
  const fetcher = await openFetcher({ cacheDirectory: join(bed.directory, 'cache') });
  expect(cached()).toBe(0);
  expect(readdirSync(join(bed.directory, 'cache/staging'))).toEqual([]);
  await fetcher.close();
});
