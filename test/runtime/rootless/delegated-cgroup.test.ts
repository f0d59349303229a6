import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { checkUnified, findDelegatedCgroup } from '../../../runtime/rootless/delegated-cgroup.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tepui-delegated-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const mountinfo = () => `41 31 0:38 / ${root} rw,relatime - cgroup2 cgroup2 rw`;

function group(path: string, controllers = 'cpu memory pids'): string {
  const directory = join(root, path);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'cgroup.controllers'), `${controllers}\n`);
  writeFileSync(join(directory, 'cgroup.procs'), '');
  writeFileSync(join(directory, 'cgroup.subtree_control'), '');
  return directory;
}

describe('the delegated cgroup', () => {
  test('is the one that the command was started in, also when it has been moved to the leaf since', () => {
    const directory = group('user.slice/run.scope');
    mkdirSync(join(directory, 'tepui-agent'));
    for (const path of ['/user.slice/run.scope', '/user.slice/run.scope/tepui-agent'])
      expect(findDelegatedCgroup({ mountinfo: mountinfo(), own: `0::${path}\n` })).toBe(directory);
  });

  test('without a controller that limits tasks is refused with its name, and with what to change', () => {
    group('user.slice/run.scope', 'memory pids');
    expect(() => findDelegatedCgroup({ mountinfo: mountinfo(), own: '0::/user.slice/run.scope\n' })).toThrow(
      /run\.scope is delegated to you without the controller cpu, .*systemctl edit user@\.service.*Delegate=cpu/,
    );
  });

  test('must be the user’s own', () => {
    const directory = group('system.slice');
    if (process.getuid?.() === 0) rmSync(join(directory, 'cgroup.subtree_control'));
    else chmodSync(join(directory, 'cgroup.subtree_control'), 0o444);
    expect(() => findDelegatedCgroup({ mountinfo: mountinfo(), own: '0::/system.slice\n' })).toThrow(
      /\/system\.slice, is not delegated to you.*systemd-run --user --scope -p Delegate=yes/,
    );
    expect(existsSync(join(directory, 'tepui-agent'))).toBe(false);
  });

  test.each([
    ['v1 alone', () => '33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory', '4:memory:/\n0::/\n'],
    ['both', mountinfo, '4:memory:/\n0::/\n'],
  ])('is not looked for on a machine with cgroup %s', (_, mounts, own) => {
    expect(() => checkUnified({ mountinfo: mounts(), own })).toThrow(/this machine has cgroup v1.*with sudo/);
  });
});
