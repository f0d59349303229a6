import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { KubernetesObject } from '../../../apiserver/resources/definition.ts';
import { openStore, type Store, type StoreOptions } from '../../../apiserver/store/store.ts';
import { listPage } from '../../../apiserver/watch/snapshot.ts';

let directory: string;
let open: Store[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-store-'));
  open = [];
});

afterEach(async () => {
  await Promise.all(open.map((store) => store.close()));
  rmSync(directory, { recursive: true, force: true });
});

async function opened(options: Partial<StoreOptions> = {}): Promise<Store> {
  const store = await openStore({ path: join(directory, 'store.db'), ...options });
  open.push(store);
  return store;
}

async function reopened(store: Store, options: Partial<StoreOptions> = {}): Promise<Store> {
  await store.close();
  open.splice(open.indexOf(store), 1);
  return opened(options);
}

const storage = 'test/things';
const key = (name: string) => ({ storage, namespace: 'ns', name });
const thing = (name: string, value: unknown = 0): KubernetesObject => ({
  apiVersion: 'test/v1',
  kind: 'Thing',
  metadata: { name, namespace: 'ns' },
  value,
});

describe('writing', () => {
  test('gives each write the next revision, in the object too', async () => {
    const store = await opened();
    const first = await store.put(key('a'), thing('a'));
    const second = await store.put(key('a'), thing('a', 1));
    expect([first.revision, second.revision]).toEqual([1, 2]);
    expect(second.object.metadata.resourceVersion).toBe('2');
    expect(JSON.parse(second.json.toString())).toEqual(second.object);
    expect([first.type, second.type]).toEqual(['ADDED', 'MODIFIED']);
  });

  test('shows a write to later writers at once, to readers when it is durable', async () => {
    const store = await opened();
    const written = store.put(key('a'), thing('a'));
    expect(store.head(key('a'))?.revision).toBe(1);
    expect(store.get(key('a'))).toBeUndefined();
    await written;
    expect(store.get(key('a'))?.revision).toBe(1);
  });

  test('serves many writers with few transactions', async () => {
    const transactions: number[] = [];
    const store = await opened({ onTransaction: ({ records }) => transactions.push(records) });
    await Promise.all(Array.from({ length: 200 }, (_, i) => store.put(key(`n${i}`), thing(`n${i}`))));
    expect(transactions.reduce((sum, records) => sum + records, 0)).toBe(200);
    expect(transactions.length).toBeLessThan(5);
  });

  test('freezes what it holds', async () => {
    const store = await opened();
    const { object } = await store.put(key('a'), thing('a', { deep: [1] }));
    expect(Object.isFrozen((object.value as { deep: number[] }).deep)).toBe(true);
  });

  test('announces entries in the order of their revisions', async () => {
    const store = await opened();
    const seen: number[] = [];
    store.onCommit((entries) => seen.push(...entries.map((entry) => entry.revision)));
    await Promise.all(Array.from({ length: 50 }, (_, i) => store.put(key(`n${i % 7}`), thing(`n${i % 7}`, i))));
    expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  });
});

describe('reopening', () => {
  test('finds every object, deletion and revision again', async () => {
    const store = await opened();
    await store.put(key('a'), thing('a', 1));
    await store.put(key('a'), thing('a', 2));
    await store.put(key('b'), thing('b'));
    await store.remove(key('b'), thing('b'));
    const again = await reopened(store);
    expect(again.revision).toBe(4);
    expect(again.get(key('a'))?.object.value).toBe(2);
    expect(again.get(key('b'))).toBeUndefined();
    expect(again.history.after(0).map((entry) => `${entry.type} ${entry.name}`)).toEqual([
      'ADDED a',
      'MODIFIED a',
      'ADDED b',
      'DELETED b',
    ]);
    expect((await again.put(key('c'), thing('c'))).revision).toBe(5);
  });

  test('never gives a revision twice, also when everything was deleted and compacted', async () => {
    const store = await opened({ history: { maxEntries: 1 } });
    await store.put(key('a'), thing('a'));
    await store.remove(key('a'), thing('a'));
    for (let i = 0; i < 5; i++) {
      await store.put(key('b'), thing('b', i));
      await store.remove(key('b'), thing('b'));
    }
    const again = await reopened(store, { history: { maxEntries: 1 } });
    expect((await again.put(key('c'), thing('c'))).revision).toBe(13);
  });
});

describe('compaction', () => {
  test('keeps no more history than the limits say, in memory and on disk', async () => {
    const store = await opened({ history: { maxEntries: 100 } });
    for (let round = 0; round < 60; round++) {
      await Promise.all(
        Array.from({ length: 50 }, (_, i) => store.put(key(`n${i}`), thing(`n${i}`, 'x'.repeat(1000)))),
      );
    }
    expect(store.history.size).toBeLessThanOrEqual(150);
    await store.close();
    open = [];
    const db = new DatabaseSync(join(directory, 'store.db'), { readOnly: true });
    const rows = Number(db.prepare('SELECT count(*) AS n FROM log').get()?.n);
    db.close();
    expect(rows).toBeLessThanOrEqual(50 + 150);
    // 3000 writes of 1 KB went through; what is kept is 200 KB.
    expect(statSync(join(directory, 'store.db')).size).toBeLessThan(1_500_000);
  });

  test('drops what is too old', async () => {
    let now = 0;
    const store = await opened({ now: () => now, history: { maxAgeMs: 1000 } });
    await store.put(key('a'), thing('a', 1));
    await store.put(key('a'), thing('a', 2));
    now = 5000;
    await store.put(key('a'), thing('a', 3));
    expect(store.history.horizon).toBe(1);
    await store.put(key('a'), thing('a', 4));
    expect(store.history.horizon).toBe(2);
  });

  test('gives free space back to the file system', async () => {
    const store = await opened({ history: { maxEntries: 1 } });
    const text = 'x'.repeat(20_000);
    await Promise.all(Array.from({ length: 500 }, (_, i) => store.put(key(`n${i}`), thing(`n${i}`, text))));
    await Promise.all(Array.from({ length: 500 }, (_, i) => store.remove(key(`n${i}`), thing(`n${i}`))));
    for (let i = 0; i < 300; i++) await store.put(key('last'), thing('last', i));
    await store.close();
    open = [];
    expect(statSync(join(directory, 'store.db')).size).toBeLessThan(4_000_000);
  });
});

describe('a full disk', () => {
  test('fails the writers with a clear error, keeps the old state, and goes on when there is space', async () => {
    // A store that may not grow stands for a full disk.
    const store = await opened({ maxPages: 40, history: { maxEntries: 10 } });
    await store.put(key('a'), thing('a', 1));
    const big = 'x'.repeat(300_000);
    const results = await Promise.allSettled([store.put(key('a'), thing('a', big)), store.put(key('b'), thing('b'))]);
    expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected']);
    expect((results[0] as PromiseRejectedResult).reason).toMatchObject({ code: 'StorageFull', httpStatus: 507 });
    expect(store.failure?.diskFull).toBe(true);
    expect(store.head(key('a'))?.object.value).toBe(1);
    expect(store.head(key('b'))).toBeUndefined();
    await store.put(key('c'), thing('c'));
    expect(store.failure).toBeUndefined();
    const again = await reopened(store);
    expect([...again.collection(storage).values()].map((entry) => entry.name)).toEqual(['a', 'c']);
  });
});

describe('a store that cannot be used', () => {
  test('is refused when a newer version wrote it', async () => {
    await reopened(await opened()).then((store) => store.close());
    open = [];
    const db = new DatabaseSync(join(directory, 'store.db'));
    db.exec('PRAGMA user_version = 99');
    db.close();
    await expect(opened()).rejects.toMatchObject({ why: 'newer' });
  });

  test('is refused while another server has it', async () => {
    await opened();
    await expect(opened()).rejects.toMatchObject({ why: 'locked' });
  });

  test('is refused when it is no database, or that of another program', async () => {
    const { writeFileSync } = await import('node:fs');
    writeFileSync(join(directory, 'store.db'), 'this is not a database'.repeat(100));
    await expect(opened()).rejects.toMatchObject({ why: 'damaged' });
    rmSync(join(directory, 'store.db'));
    const db = new DatabaseSync(join(directory, 'store.db'));
    db.exec('CREATE TABLE other (a)');
    db.close();
    await expect(opened()).rejects.toMatchObject({ why: 'damaged' });
  });
});

test('any sequence of writes can be listed at every revision of the history, also after a restart', async () => {
  const step = fc.record({ name: fc.constantFrom('a', 'b', 'c'), remove: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      rmSync(join(directory, 'store.db'), { force: true });
      let store = await opened();
      const model: Record<string, number>[] = [{}];
      for (const { name, remove } of steps) {
        const now = { ...model.at(-1)! };
        if (remove) {
          if (store.head(key(name)) === undefined) continue;
          delete now[name];
          await store.remove(key(name), thing(name));
        } else {
          now[name] = model.length;
          await store.put(key(name), thing(name, model.length));
        }
        model.push(now);
      }
      for (const round of ['before', 'after the restart']) {
        for (const [revision, wanted] of model.entries()) {
          const { entries } = listPage(store, { storage }, { revision });
          const found = Object.fromEntries(entries.map((entry) => [entry.name, entry.object.value]));
          expect({ round, revision, found }).toEqual({ round, revision, found: wanted });
        }
        store = await reopened(store);
      }
      await store.close();
      open = [];
    }),
    { numRuns: 15 },
  );
});
