/** The cgroups that a launcher moves to, when the launcher before it takes them away at its end. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readCgroupMounts } from '../../../runtime/cgroups/detect.ts';
import { connectLauncher } from '../../../runtime/launcher/client.ts';
import { eventually } from './harness.ts';

const asRoot = process.getuid?.() === 0 ? test : test.skip; // needs root

/** A hierarchy in which an empty group takes anybody in. */
const hierarchy = (): string => {
  const mounts = readCgroupMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
  return (
    mounts.find(({ superOptions }) => superOptions.includes('pids')) ?? mounts.find(({ type }) => type === 'cgroup2')!
  ).mountPoint;
};

asRoot('groups that vanish before the launcher has moved are made again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tepui-groups-'));
  const mount = hierarchy();
  const path = `tepui-groups-test-${process.pid}/_launcher`;
  const group = join(mount, path);
  let asked = 0;
  const groups = (): string[] => {
    asked += 1;
    mkdirSync(group, { recursive: true });
    // The first time an ending launcher is faster, the second time it takes a parent away while the group is made.
    if (asked === 1) rmdirSync(group);
    if (asked === 2) throw Object.assign(new Error('ENOENT: no such file or directory, mkdir'), { code: 'ENOENT' });
    return [mount, path];
  };
  const launcher = await connectLauncher({ runtimeDir: join(directory, 'run'), groups });
  expect(asked).toBe(3);
  expect(readFileSync(join(group, 'cgroup.procs'), 'utf8').trim()).toMatch(/^\d+$/);
  await launcher.shutdownIfIdle();
  launcher.close();
  await eventually(() => !readdirSync(mount).includes(dirname(path)), 'the launcher to remove its groups');
  rmSync(directory, { recursive: true });
});
