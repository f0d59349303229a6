import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { AgentAlreadyRunning, lockInstance } from '../../../../runtime/agent/node/lock.ts';

let meta: string;
let children: ChildProcess[] = [];
beforeEach(() => {
  meta = mkdtempSync(join(tmpdir(), 'tepui-lock-'));
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  rmSync(meta, { recursive: true, force: true });
});

const lockFile = join(import.meta.dirname, '../../../../runtime/agent/node/lock.ts');
const lock = () => lockInstance({ meta, dataDir: '/data' });

/** Another process that has the lock. */
async function holder(): Promise<ChildProcess> {
  const script = `import { lockInstance } from ${JSON.stringify(lockFile)};
    lockInstance({ meta: ${JSON.stringify(meta)}, dataDir: '/data' }); console.log('locked'); setInterval(() => {}, 1000);`;
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '-e', script],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  children.push(child);
  await once(child.stdout!, 'data');
  return child;
}

test('is given once, and again after its release', async () => {
  const first = lock();
  expect(lock).toThrow(AgentAlreadyRunning);
  await first.release();
  await lock().release();
});

test('is kept from other processes, and goes with the process that had it, however that ends', async () => {
  const child = await holder();
  expect(lock).toThrow('another agent is running on /data');
  child.kill('SIGKILL');
  await once(child, 'close');
  await lock().release();
});
