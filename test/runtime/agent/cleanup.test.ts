import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { cleanupAgent } from '../../../runtime/agent/index.ts';
import { openCheckpointDirectory } from '../../../runtime/checkpoint/directory.ts';
import type { Containerizer } from '../../../runtime/containerizers/containerizer.ts';

const nothingRuns = {
  name: 'native',
  recover: async () => [],
  removeOrphans: async () => {},
  close: async () => {},
} as unknown as Containerizer;
let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'tepui-cleanup-')));
});
afterEach(() => rmSync(base, { recursive: true }));

test('a clean-up that was killed while it removed sandboxes is finished by the next', async () => {
  const root = join(base, 'data/agent');
  for (const name of ['sandboxes/default/task', '.removing-0123456789ab/deep'])
    mkdirSync(join(root, name), { recursive: true });
  await cleanupAgent({
    dataDir: join(base, 'data'),
    runtimeRoot: join(base, 'run'),
    logger: pino({ level: 'silent' }),
    containerizer: nothingRuns,
    remove: { sandboxes: true },
  });
  expect(readdirSync(root)).not.toContain('sandboxes');
  expect(readdirSync(root).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('a clean-up that removes sandboxes removes the files that were their disks', async () => {
  const root = join(base, 'data/agent');
  const [sandbox, file] = [join(root, 'sandboxes/default/task/runs/run'), join(root, 'disk-files/limit.img')];
  mkdirSync(sandbox, { recursive: true });
  mkdirSync(join(root, 'disk-files'));
  // The logs are in the sandbox already.
  for (const path of [join(sandbox, 'stdout'), file]) writeFileSync(path, '');
  const kind = { kind: 'DiskLimit', version: 1 };
  const limits = await openCheckpointDirectory(join(root, 'meta/disk-limits'), kind, { strict: true });
  const name = createHash('sha256').update(sandbox).digest('hex').slice(0, 32);
  await limits.write(name, { containerId: 'run', sandbox, limitBytes: 2 ** 23, method: 'File', file });
  const options = { dataDir: join(base, 'data'), runtimeRoot: join(base, 'run'), logger: pino({ level: 'silent' }) };
  await cleanupAgent({ ...options, containerizer: nothingRuns });
  expect(existsSync(file)).toBe(true);
  await cleanupAgent({ ...options, containerizer: nothingRuns, remove: { sandboxes: true } });
  expect([existsSync(file), existsSync(join(root, 'sandboxes'))]).toEqual([false, false]);
  expect((await limits.load()).size).toBe(0);
});
