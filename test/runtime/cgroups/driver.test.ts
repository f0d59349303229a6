/** Drivers against plain directories that stand in for cgroupfs: which file gets which value. The kernel's part is in the containerizer's tests. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CgroupHost } from '../../../runtime/cgroups/detect.ts';
import { LimitBelowUse } from '../../../runtime/cgroups/driver.ts';
import { openCgroups } from '../../../runtime/cgroups/index.ts';

let top: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'tepui-cgroups-'));
});
afterEach(() => rmSync(top, { recursive: true }));

const MiB = 2 ** 20;
const read = (path: string) => readFileSync(join(top, path), 'utf8');
const write = (path: string, text: string) => writeFileSync(join(top, path), text);

describe('cgroup v2', () => {
  const host = (): CgroupHost => ({
    version: 'v2',
    unified: top,
    controllers: new Map(['cpu', 'memory', 'pids'].map((name) => [name, top])),
  });

  test('switches controllers on level by level, and only those that are off', () => {
    write('cgroup.subtree_control', 'cpu memory');
    openCgroups('tepui/a', host());
    expect(read('cgroup.subtree_control')).toBe('+pids');
    expect(read('tepui/cgroup.subtree_control')).toBe('+cpu +memory +pids');
    expect(read('tepui/a/cgroup.subtree_control')).toBe('+cpu +memory +pids');
  });

  test.each([
    [{ cpus: 1 }, '100', 'max 100000'],
    [{ cpus: 0.5, limit: 1.5 }, '50', '150000 100000'],
    [{ cpus: 0.001, limit: 0.001 }, '1', '1000 100000'],
    [{ cpus: 500, limit: Infinity }, '10000', 'max 100000'],
  ])('cpu %j becomes weight %s and max %s', (limits, weight, max) => {
    const driver = openCgroups('tepui/a', host());
    driver.create('c');
    driver.cpu.limit('c', limits);
    expect([read('tepui/a/c/cpu.weight'), read('tepui/a/c/cpu.max')]).toEqual([weight, max]);
  });

  test('its processes are also those of groups below, where an OCI runtime has them', () => {
    const driver = openCgroups('tepui/a', host());
    driver.create('c');
    mkdirSync(join(top, 'tepui/a/c/payload/deeper'), { recursive: true });
    write('tepui/a/c/cgroup.procs', '');
    write('tepui/a/c/payload/cgroup.procs', '7\n9\n');
    write('tepui/a/c/payload/deeper/cgroup.procs', '8\n');
    expect(driver.processes('c')).toEqual([7, 9, 8]);
    expect(driver.processes('gone')).toEqual([]);
  });

  test('memory has a low for the request, a max for the limit, no swap, and ends as a whole', () => {
    const driver = openCgroups('tepui/a', host());
    driver.create('c');
    write('tepui/a/c/memory.swap.max', 'max');
    driver.memory.limit('c', { softBytes: 64 * MiB, hardBytes: 128 * MiB });
    expect(['low', 'max', 'swap.max', 'oom.group'].map((name) => read(`tepui/a/c/memory.${name}`))).toEqual([
      String(64 * MiB),
      String(128 * MiB),
      '0',
      '1',
    ]);
    driver.memory.limit('c', { softBytes: 64 * MiB, hardBytes: Infinity });
    expect(read('tepui/a/c/memory.max')).toBe('max');
  });

  test('the levels above have the sum of the memory.low of their containers, also of those that were there before', async () => {
    const low = () => [read('tepui/a/memory.low'), read('tepui/memory.low')].map((text) => Number(text) / MiB);
    const first = openCgroups('tepui/a', host());
    first.create('c');
    first.memory.limit('c', { softBytes: 10 * MiB, hardBytes: 20 * MiB });
    const second = openCgroups('tepui/a', host());
    second.create('d');
    second.memory.limit('d', { softBytes: 5 * MiB, hardBytes: 20 * MiB });
    const other = openCgroups('tepui/b', host());
    other.create('e');
    other.memory.limit('e', { softBytes: 1 * MiB, hardBytes: 20 * MiB });
    expect(low()).toEqual([15, 16]);
    second.memory.update('d', { softBytes: 7 * MiB, hardBytes: 20 * MiB });
    expect(low()).toEqual([17, 18]);
    rmSync(join(top, 'tepui/a/c'), { recursive: true });
    await second.remove('c');
    expect(low()).toEqual([7, 8]);
  });

  test('a memory limit is not lowered below use', () => {
    const driver = openCgroups('tepui/a', host());
    driver.create('c');
    write('tepui/a/c/memory.current', String(50 * MiB));
    expect(() => driver.memory.update('c', { softBytes: MiB, hardBytes: 40 * MiB })).toThrow(LimitBelowUse);
    expect(existsSync(join(top, 'tepui/a/c/memory.max'))).toBe(false);
  });

  test('usage and OOM kills are read from the kernel’s files', () => {
    const driver = openCgroups('tepui/a', host());
    driver.create('c');
    write(
      'tepui/a/c/cpu.stat',
      'usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\nnr_periods 9\nnr_throttled 4\nthrottled_usec 500000\n',
    );
    write('tepui/a/c/memory.stat', 'anon 10\nfile 20\n');
    write('tepui/a/c/memory.current', '42\n');
    write('tepui/a/c/memory.max', 'max\n');
    write('tepui/a/c/memory.events', 'low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\n');
    expect(driver.cpu.usage('c')).toEqual({
      userSeconds: 2,
      systemSeconds: 1,
      periods: 9,
      throttledPeriods: 4,
      throttledSeconds: 0.5,
    });
    expect(driver.memory.usage('c')).toEqual({
      totalBytes: 42,
      rssBytes: 10,
      cacheBytes: 20,
      limitBytes: undefined,
      peakBytes: undefined,
    });
    expect(driver.memory.oomKills('c')).toBe(1);
    expect(driver.memory.oomKills('gone')).toBe(0);
  });

  test('a container is born in its group, and an exec joins it', () => {
    const driver = openCgroups('tepui/a', host());
    expect(driver.placement('c')).toEqual({
      cloneInto: `${top}/tepui/a/c`,
      join: [],
      joinLater: [`${top}/tepui/a/c/cgroup.procs`],
    });
  });
});

describe('cgroup v1', () => {
  const host = (unified = false): CgroupHost => {
    const names = ['cpu', 'cpuacct', 'memory', 'pids', 'freezer'];
    for (const name of [...names, 'unified']) mkdirSync(join(top, name), { recursive: true });
    return {
      version: unified ? 'hybrid' : 'v1',
      controllers: new Map(names.map((name) => [name, join(top, name)])),
      ...(unified && { unified: join(top, 'unified') }),
    };
  };

  test.each([
    [{ cpus: 1 }, '1024', '-1'],
    [{ cpus: 0.001, limit: 0.001 }, '2', '1000'],
    [{ cpus: 0.5, limit: 2 }, '512', '200000'],
  ])('cpu %j becomes %s shares and a quota of %s', (limits, shares, quota) => {
    const driver = openCgroups('tepui/a', host());
    driver.create('c');
    write('cpu/tepui/a/c/cpu.cfs_quota_us', '-1');
    driver.cpu.limit('c', limits);
    expect([read('cpu/tepui/a/c/cpu.shares'), read('cpu/tepui/a/c/cpu.cfs_quota_us')]).toEqual([shares, quota]);
  });

  test('memory has a soft and a hard limit, and one for memory and swap where the kernel counts swap', () => {
    const driver = openCgroups('tepui/a', host());
    driver.create('c');
    write('memory/tepui/a/c/memory.memsw.limit_in_bytes', '-1');
    driver.memory.limit('c', { softBytes: 64 * MiB, hardBytes: 128 * MiB });
    const values = ['soft_limit', 'limit', 'memsw.limit'].map((name) =>
      read(`memory/tepui/a/c/memory.${name}_in_bytes`),
    );
    expect(values).toEqual([64 * MiB, 128 * MiB, 128 * MiB].map(String));
  });

  test('usage without a v2 mount comes from cpuacct', () => {
    const driver = openCgroups('tepui/a', host());
    driver.create('c');
    write('cpuacct/tepui/a/c/cpuacct.stat', 'user 150\nsystem 50\n');
    write('memory/tepui/a/c/memory.oom_control', 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n');
    write('memory/tepui/a/c/memory.limit_in_bytes', '9223372036854771712\n');
    expect(driver.cpu.usage('c')).toMatchObject({ userSeconds: 1.5, systemSeconds: 0.5 });
    expect(driver.memory.oomKills('c')).toBe(3);
    expect(driver.memory.usage('c').limitBytes).toBeUndefined();
  });

  test('a hybrid host uses the v2 mount for birth and freezing, and no cpuacct or freezer group', () => {
    const driver = openCgroups('tepui/a', host(true));
    driver.create('c');
    driver.freeze('c', true);
    expect(driver.placement('c').cloneInto).toBe(`${top}/unified/tepui/a/c`);
    expect(driver.placement('c').join).toEqual(
      ['cpu', 'memory', 'pids'].map((name) => `${top}/${name}/tepui/a/c/tasks`),
    );
    expect(read('unified/tepui/a/c/cgroup.freeze')).toBe('1');
    expect(existsSync(join(top, 'freezer/tepui'))).toBe(false);
  });

  test('groups are listed, removed, and the root with them when it is empty', async () => {
    const driver = openCgroups('tepui/a', host(true));
    driver.create('c');
    driver.create('d');
    expect(driver.list().sort()).toEqual(['c', 'd']);
    await driver.remove('c');
    await driver.remove('c');
    driver.removeRoot();
    expect(driver.list()).toEqual(['d']);
    await driver.remove('d');
    driver.removeRoot();
    expect(existsSync(join(top, 'memory/tepui'))).toBe(false);
  });
});

test.each(['', '/', 'a//b', '../a', 'a/./b'])('refuses %j as a root', (root) => {
  expect(() => openCgroups(root, { version: 'v2', unified: top, controllers: new Map() })).toThrow(
    'must be a relative path',
  );
});
