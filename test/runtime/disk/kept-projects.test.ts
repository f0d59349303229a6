import { chmodSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openProjectQuota } from '../../../runtime/disk/project-quota.ts';
import { quotaPlace } from '../../setup/project-quota.ts';
import { startNode, type TestNode } from '../containerizers/harness.ts';

const place = await quotaPlace();
if (typeof place === 'string') console.warn(`containers in a quota: skipped, ${place}`);
const suite = typeof place === 'string' ? describe.skip : describe;
const MIB = 2 ** 20;

suite('a container whose sandbox has a project quota', () => {
  // Skipped tests are collected all the same.
  const { directory, remove } = typeof place === 'string' ? { directory: '', remove: () => {} } : place;
  const quota = openProjectQuota();
  let node: TestNode;
  let project = 4_242;
  beforeAll(async () => {
    chmodSync(directory, 0o755);
    node = await startNode({ parent: directory });
  });
  afterAll(async () => {
    await node.close();
    remove();
  });

  /** What came of leaving the project in each way and then writing more than its limit. */
  async function leave(part: object): Promise<string> {
    const script =
      'mkdir d; chattr -p 0 d && echo left; chattr -P d && echo unmarked; dd if=/dev/zero of=d/x bs=64k count=64 && echo escaped';
    const spec = node.spec({ shell: `(${script}) 2>err; grep -o "Disk quota exceeded" err; true` }, part);
    await quota.set(spec.sandbox, project++, 2 * MIB);
    await node.containerizer.launch(spec);
    await node.containerizer.wait(spec.containerId);
    const said = node.output(spec).trim();
    await node.containerizer.destroy(spec.containerId);
    return said;
  }

  test('leaves it where nothing keeps it: the control', async () => {
    expect(await leave({})).toBe('left\nunmarked\nescaped');
  });

  test('cannot leave it behind the filter', async () => {
    expect(await leave({ onProjectQuota: true })).toBe('Disk quota exceeded');
  });

  test('cannot leave it with user ids of its own, by the kernel’s rules', async () => {
    const ids = { hostId: 1_879_048_192, size: 65_536 };
    expect(await leave({ userNamespace: { uids: ids, gids: ids } })).toBe('Disk quota exceeded');
  });
});
