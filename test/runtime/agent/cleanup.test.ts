import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { cleanupAgent } from '../../../runtime/agent/index.ts';
import type { Containerizer } from '../../../runtime/containerizers/containerizer.ts';

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
    containerizer: { name: 'native', recover: async () => [], close: async () => {} } as unknown as Containerizer,
    remove: { sandboxes: true },
  });
  expect(readdirSync(root)).not.toContain('sandboxes');
  expect(readdirSync(root).filter((name) => name.startsWith('.'))).toEqual([]);
});
