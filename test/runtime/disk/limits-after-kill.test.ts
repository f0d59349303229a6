import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { openDiskLimits } from '../../../runtime/agent/disk-limits/disk-limits.ts';
import { openCheckpointDirectory } from '../../../runtime/checkpoint/directory.ts';
import { openProjectIds } from '../../../runtime/disk/project-ids.ts';
import type { ProjectQuota } from '../../../runtime/disk/project-quota.ts';

/** Of a file system that nobody else uses. */
const quota: ProjectQuota = {
  isSupported: async () => true,
  set: async () => {},
  get: async (_directory, projects) => projects.map(() => ({ usedBytes: 0, limitBytes: 0 })),
  clear: async () => {},
};

describe('a disk limit whose agent was killed', () => {
  let base: string;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'tepui-limits-'));
    mkdirSync(join(base, 'sandboxes/task'), { recursive: true });
    mkdirSync(join(base, 'files'));
  });
  afterEach(() => rmSync(base, { recursive: true }));
  const openIds = () => openProjectIds({ directory: join(base, 'ids'), instance: '0123456789ab', quota });
  const open = async () =>
    openDiskLimits({
      stateDirectory: join(base, 'limits'),
      filesDirectory: join(base, 'files'),
      sandboxRoot: join(base, 'sandboxes'),
      quota,
      projectIds: await openIds(),
      kill: async () => {},
      logger: pino({ level: 'silent' }),
    });
  const sandbox = () => join(base, 'sandboxes/task');

  test('after its project had a number and before it was recorded: the number is given back with the sandbox', async () => {
    await (await openIds()).allocate(sandbox(), join(base, 'sandboxes'));
    const limits = await open();
    await limits.recover([]);
    expect(readdirSync(join(base, 'ids'))).toHaveLength(1);
    await limits.releasing(sandbox());
    rmSync(sandbox(), { recursive: true });
    await limits.released(sandbox());
    expect(readdirSync(join(base, 'ids'))).toEqual([]);
  });

  test('and whose sandbox is gone: the next start gives back its number, and none of a volume', async () => {
    const ids = await openIds();
    await ids.allocate(sandbox(), join(base, 'sandboxes'));
    await ids.allocate(join(base, 'volumes/data'), base);
    rmSync(sandbox(), { recursive: true });
    await (await open()).recover([]);
    expect((await openIds()).list()).toEqual([join(base, 'volumes/data')]);
  });

  test('while its file was made: what there is of the file goes with the sandbox', async () => {
    const file = join(base, 'files/image.img');
    const records = await openCheckpointDirectory(
      join(base, 'limits'),
      { kind: 'DiskLimit', version: 1 },
      { strict: true },
    );
    await records.write('limit', { containerId: 'c', sandbox: sandbox(), limitBytes: 2 ** 23, method: 'File', file });
    writeFileSync(`${file}.making`, '');
    const limits = await open();
    await limits.recover([]);
    await limits.releasing(sandbox());
    expect(readdirSync(join(base, 'files'))).toEqual([]);
  });
});
