import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openStore } from '../../../apiserver/store/store.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-size-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const key = { storage: 'coordination.k8s.io/leases', namespace: 'tepui-agent-leases', name: 'node-1' };
const lease = (renewTime: string) => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name: key.name, namespace: key.namespace },
  spec: { holderIdentity: 'node-1', leaseDurationSeconds: 75, renewTime },
});

function files(): { path: string; bytes: number; changedMs: number }[] {
  return ['store.db', 'store.db-wal'].map((name) => {
    const path = join(directory, name);
    const { size, mtimeMs } = statSync(path);
    return { path, bytes: size, changedMs: mtimeMs };
  });
}

test('20,000 renewals of one lease fill the files to a size that they keep, and idle files do not change', async () => {
  const history = { maxEntries: 500, maxBytes: 1024 * 1024, maxAgeMs: 60_000 };
  const store = await openStore({ path: join(directory, 'store.db'), history });
  const largest: number[][] = [];
  for (let thousand = 0; thousand < 20; thousand++) {
    const sizes = [0, 0];
    for (let step = 0; step < 100; step++) {
      const batch = Array.from({ length: 10 }, (_, i) => store.put(key, lease(`${thousand} ${step} ${i}`)));
      await Promise.all(batch);
      files().forEach(({ bytes }, i) => {
        sizes[i] = Math.max(sizes[i]!, bytes);
      });
    }
    largest.push(sizes);
  }
  // What the first quarter needed is enough for the rest.
  for (const i of [0, 1]) {
    const early = Math.max(...largest.slice(0, 5).map((sizes) => sizes[i]!));
    for (const sizes of largest.slice(5)) expect(sizes[i]).toBeLessThanOrEqual(early * 1.1);
  }
  expect(largest.at(-1)![0]).toBeLessThan(2 * 1024 * 1024);
  expect(largest.at(-1)![1]).toBeLessThan(20 * 1024 * 1024);

  await new Promise((resolve) => setTimeout(resolve, 300));
  const idle = files();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect(files()).toEqual(idle);

  await store.close();
  const reopened = await openStore({ path: join(directory, 'store.db'), history });
  expect(reopened.get(key)?.object).toMatchObject({ spec: { renewTime: '19 99 9' } });
  expect(reopened.history.size).toBeLessThanOrEqual(500 + 64);
  await reopened.close();
}, 120_000);
