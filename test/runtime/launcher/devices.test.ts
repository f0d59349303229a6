/** What a cgroup may open: the rules as text in the v1 devices controller, and as a BPF program in a v2 group. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { detectCgroups } from '../../../runtime/cgroups/detect.ts';
import { setDeviceRules } from '../../../runtime/launcher/devices.ts';
import type { DeviceRule } from '../../../runtime/launcher/operations.ts';
import { hasCompiler } from './harness.ts';

const run = promisify(execFile);
const canRun = process.getuid?.() === 0 && hasCompiler;
const { controllers, unified } = canRun
  ? detectCgroups()
  : { controllers: new Map<string, string>(), unified: undefined };
const hierarchies = [
  ...(controllers.has('devices') ? [{ kind: 'cgroup v1', mount: controllers.get('devices')! }] : []),
  ...(unified ? [{ kind: 'cgroup v2 (BPF)', mount: unified }] : []),
];
// Needs root, a C compiler, and one of the two.
const describeIf = hierarchies.length > 0 ? describe : describe.skip;

describeIf.each(hierarchies.length > 0 ? hierarchies : [{ kind: 'none', mount: '' }])('$kind', ({ mount }) => {
  let top: string;
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tepui-devices-'));
    top = mkdtempSync(join(mount, 'tepui-test-devices-'));
  });
  afterEach(async () => {
    rmSync(directory, { recursive: true });
    for (const group of [join(top, 'child'), top]) await removeGroup(group);
  });

  /** Which of the attempts succeed for a member of the group. */
  const allowed = async (group: string): Promise<string[]> => {
    const node = join(directory, 'node');
    const script = `echo 0 > ${group}/cgroup.procs || exit 9
      try() { name=$1; shift; if "$@" 2>&-; then echo "$name"; fi; }
      try read-null dd if=/dev/null of=${directory}/out count=1 status=none
      try write-null sh -c 'echo x > /dev/null' 2>&-
      try read-zero dd if=/dev/zero of=${directory}/out bs=1 count=1 status=none
      try write-zero sh -c 'echo x > /dev/zero'
      try read-urandom dd if=/dev/urandom of=${directory}/out bs=1 count=1 status=none
      try mknod-null mknod ${node} c 1 3; rm -f ${node}
      try mknod-zero mknod ${node} c 1 5; rm -f ${node}
      try mknod-disk mknod ${node} b 254 0; rm -f ${node}`;
    const { stdout } = await run('sh', ['-c', script]);
    return stdout.split('\n').filter(Boolean);
  };
  const c = (minor: number | undefined, access: string, major = 1): DeviceRule => ({
    type: 'c',
    major,
    ...(minor !== undefined && { minor }),
    access,
  });

  test.each<[string, DeviceRule[], string[]]>([
    ['nothing', [], []],
    ['one device, one way', [c(5, 'r')], ['read-zero']],
    ['one device, all ways', [c(5, 'rwm')], ['read-zero', 'write-zero', 'mknod-zero']],
    ['several devices', [c(3, 'rw'), c(9, 'r')], ['read-null', 'write-null', 'read-urandom']],
    [
      'every minor of a major',
      [c(undefined, 'rm')],
      ['read-null', 'read-zero', 'read-urandom', 'mknod-null', 'mknod-zero'],
    ],
    ['another major', [c(3, 'rwm', 2)], []],
    ['to make block devices only', [{ type: 'b', access: 'm' }], ['mknod-disk']],
    [
      'everything',
      [{ type: 'a', access: 'rwm' }],
      ['read-null', 'write-null', 'read-zero', 'write-zero', 'read-urandom', 'mknod-null', 'mknod-zero', 'mknod-disk'],
    ],
  ])('allows %s, and nothing else, also to groups below', async (_what, rules, expected) => {
    await setDeviceRules(top, rules);
    mkdirSync(join(top, 'child'));
    expect(await allowed(top)).toEqual(expected);
    expect(await allowed(join(top, 'child'))).toEqual(expected);
  });

  test.each<[string, DeviceRule, string]>([
    ['an unknown access', { type: 'c', major: 1, minor: 3, access: 'x' }, 'a device access is unknown'],
    ['a number that no device has', { type: 'c', major: 4096, access: 'r' }, 'a device number is too large'],
    ['half of everything', { type: 'a', access: 'r' }, 'a rule for all devices stands alone'],
  ])('refuses %s', async (_what, rule, message) => {
    await expect(setDeviceRules(top, [rule])).rejects.toThrow(message);
  });

  test('refuses more rules than fit, and directories that are no cgroups', async () => {
    await expect(setDeviceRules(top, Array(257).fill(c(3, 'r')))).rejects.toThrow('too many');
    await expect(setDeviceRules(directory, [])).rejects.toThrow('cannot set the device rules');
  });
});

/** A member that has just ended may still count. */
async function removeGroup(group: string): Promise<void> {
  for (let attempt = 0; existsSync(group); attempt++) {
    try {
      rmdirSync(group);
    } catch (error) {
      if (attempt === 200) throw error;
      await sleep(20);
    }
  }
}
