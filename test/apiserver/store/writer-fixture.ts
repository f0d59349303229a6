/** Writes without end and prints the name and revision of every acknowledged write; the crash test kills it. */
import { writeSync } from 'node:fs';
import { openStore } from '../../../apiserver/store/store.ts';

const store = await openStore({ path: process.argv[2]!, history: { maxEntries: 50 } });
const writer = async (id: number) => {
  for (let i = 0; ; i++) {
    const name = `${process.pid}-${id}-${i % 5}`;
    const key = { storage: 'test/things', namespace: '', name };
    const entry = await store.put(key, { apiVersion: 'test/v1', kind: 'Thing', metadata: { name }, i });
    writeSync(1, `${name} ${entry.revision}\n`);
  }
};
await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(writer));
