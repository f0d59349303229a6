import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openStore } from '../../../apiserver/store/store.ts';

const writer = new URL('writer-fixture.ts', import.meta.url).pathname;

/** Lets the writer run for a while, kills it at a random moment, and returns the last acknowledged revision of each object. */
async function writeAndKill(path: string): Promise<Map<string, number>> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', writer, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  await once(child.stdout, 'data');
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 120));
  child.kill('SIGKILL');
  await once(child, 'close');
  const acknowledged = new Map<string, number>();
  // The last line may be cut off.
  for (const line of output.split('\n').slice(0, -1)) {
    const [name = '', revision] = line.split(' ');
    acknowledged.set(name, Number(revision));
  }
  return acknowledged;
}

test('a server killed at any moment loses no acknowledged write and starts again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tepui-crash-'));
  const path = join(directory, 'store.db');
  try {
    const all = new Map<string, number>();
    for (let round = 0; round < 8; round++) {
      for (const [name, revision] of await writeAndKill(path)) all.set(name, revision);
      const store = await openStore({ path });
      for (const [name, revision] of all) {
        const entry = store.get({ storage: 'test/things', namespace: '', name });
        expect(`${name} ${(entry?.revision ?? -1) >= revision}`).toBe(`${name} true`);
      }
      await store.close();
    }
    expect(all.size).toBeGreaterThan(100);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 60_000);
