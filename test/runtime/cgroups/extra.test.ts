/** Controllers that only some containers use, against plain directories that stand in for cgroupfs: which file gets which value. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CgroupHost } from '../../../runtime/cgroups/detect.ts';
import { createExtraGroups } from '../../../runtime/cgroups/extra.ts';
import { hugePageName, hugePageSizes, limitHugePages } from '../../../runtime/cgroups/hugetlb.ts';
import { ioControllerOf } from '../../../runtime/cgroups/io.ts';
import { readPressure } from '../../../runtime/cgroups/pressure.ts';

let top: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'tepui-cgroups-'));
});
afterEach(() => rmSync(top, { recursive: true }));
const read = (path: string) => readFileSync(join(top, path), 'utf8');
const write = (path: string, text: string) => {
  mkdirSync(dirname(join(top, path)), { recursive: true });
  writeFileSync(join(top, path), text);
};

describe('groups in v1 hierarchies', () => {
  const host = (unified = true): CgroupHost => ({
    version: unified ? 'hybrid' : 'v1',
    controllers: new Map([
      ...['cpuset', 'blkio', 'devices'].map((name): [string, string] => [name, join(top, name)]),
      ...(unified ? ([['hugetlb', join(top, 'unified')]] as [string, string][]) : []),
    ]),
    ...(unified && { unified: join(top, 'unified') }),
  });
  const open = (unified?: boolean) =>
    createExtraGroups(host(unified), 'tepui/a', (id) => join(top, 'unified/tepui/a', id));

  test('are not made before somebody needs them', () => {
    const extra = open();
    expect(existsSync(join(top, 'blkio'))).toBe(false);
    expect(extra.find('c', 'io')).toBeUndefined();
    expect(extra.add('c', 'io')).toBe(join(top, 'blkio/tepui/a/c'));
    expect(extra.add('c', 'io')).toBe(join(top, 'blkio/tepui/a/c'));
    expect(existsSync(join(top, 'cpuset'))).toBe(false);
  });

  test('a new cpuset begins with what its parent has, on each level', () => {
    write('cpuset/cpuset.cpus', '0-3\n');
    write('cpuset/cpuset.mems', '0\n');
    for (const level of ['tepui', 'tepui/a', 'tepui/a/c'])
      for (const file of ['cpus', 'mems']) write(`cpuset/${level}/cpuset.${file}`, '\n');
    open().add('c', 'cpuset');
    expect([
      read('cpuset/tepui/cpuset.cpus'),
      read('cpuset/tepui/a/c/cpuset.cpus'),
      read('cpuset/tepui/a/c/cpuset.mems'),
    ]).toEqual(['0-3', '0-3', '0']);
  });

  test('are found again by a later agent process, and removed with the shared ones', async () => {
    const first = open();
    first.add('c', 'io');
    first.shared('devices');
    const later = open();
    expect(later.list()).toEqual(['c']);
    expect(later.find('c', 'io')).toBe(join(top, 'blkio/tepui/a/c'));
    expect(later.findShared('devices')).toBe(join(top, 'devices/tepui/a/_shared/members'));
    expect(later.findShared('cpuset')).toBeUndefined();
    await later.remove('c');
    await later.remove('unknown');
    later.removeRoot();
    expect([existsSync(join(top, 'blkio/tepui')), existsSync(join(top, 'devices/tepui'))]).toEqual([false, false]);
  });

  test('the place of shared rules is removed also when nobody ever joined it', () => {
    const extra = open();
    extra.aboveShared();
    extra.removeRoot();
    expect(existsSync(join(top, 'devices/tepui'))).toBe(false);
  });

  test('a controller of the v2 mount of a hybrid host is switched on above the container’s group', () => {
    const extra = open();
    expect([extra.version('hugetlb'), extra.version('devices'), extra.version('io')]).toEqual(['v2', 'v1', 'v1']);
    mkdirSync(join(top, 'unified/tepui/a/c'), { recursive: true });
    write('unified/tepui/cgroup.subtree_control', 'hugetlb\n');
    extra.add('c', 'hugetlb');
    expect(['', 'tepui/', 'tepui/a/'].map((level) => read(`unified/${level}cgroup.subtree_control`).trim())).toEqual([
      '+hugetlb',
      'hugetlb',
      '+hugetlb',
    ]);
  });

  test('what the host does not have, it does not have', () => {
    expect(open(false).version('hugetlb')).toBeUndefined();
    const bare = createExtraGroups({ version: 'v1', controllers: new Map() }, 'tepui/a', undefined);
    expect(bare.version('devices')).toBeUndefined();
  });
});

test('on v2 devices need no controller, and everything is in the container’s own group', () => {
  const host: CgroupHost = { version: 'v2', unified: top, controllers: new Map([['io', top]]) };
  const extra = createExtraGroups(host, 'tepui/a', (id) => join(top, 'tepui/a', id));
  mkdirSync(join(top, 'tepui/a/c'), { recursive: true });
  expect(extra.add('c', 'devices')).toBe(join(top, 'tepui/a/c'));
  expect(existsSync(join(top, 'cgroup.subtree_control'))).toBe(false);
  expect(extra.add('c', 'io')).toBe(join(top, 'tepui/a/c'));
  expect(read('tepui/a/cgroup.subtree_control')).toBe('+io');
  expect([extra.version('cpuset'), extra.top()]).toEqual([undefined, join(top, 'tepui/a')]);
});

describe('input and output', () => {
  const limits = {
    device: '8:0',
    readBytesPerSecond: 1,
    writeBytesPerSecond: 2,
    readsPerSecond: 3,
    writesPerSecond: 4,
  };

  test('v1 has a file for each rate', () => {
    ioControllerOf('v1').throttle(top, limits);
    const files = ['read_bps', 'write_bps', 'read_iops', 'write_iops'];
    expect(files.map((name) => read(`blkio.throttle.${name}_device`))).toEqual(['8:0 1', '8:0 2', '8:0 3', '8:0 4']);
  });

  test('v2 has one line, with what is given only', () => {
    const v2 = ioControllerOf('v2');
    v2.throttle(top, limits);
    expect(read('io.max')).toBe('8:0 rbps=1 wbps=2 riops=3 wiops=4');
    v2.throttle(top, { device: '8:0', writeBytesPerSecond: 5 });
    expect(read('io.max')).toBe('8:0 wbps=5');
  });

  test.each([
    ['v1', 'blkio.bfq.weight', 5000, '1000'],
    ['v1', 'blkio.bfq.weight', 1, '1'],
    ['v1', 'blkio.weight', 1, '10'],
    ['v2', 'io.weight', 5000, 'default 5000'],
    ['v2', 'io.bfq.weight', 5000, '1000'],
  ] as const)('%s keeps a weight in %s: %d is %s', (version, file, weight, written) => {
    write(file, '');
    expect(ioControllerOf(version).weight(top, weight)).toBe(true);
    expect(read(file)).toBe(written);
  });

  test.each(['v1', 'v2'] as const)('%s without a scheduler that keeps weights says so', (version) => {
    expect(ioControllerOf(version).weight(top, 100)).toBe(false);
    expect(ioControllerOf(version).deviceWeight(top, '8:0', 100)).toBe(false);
  });

  test('usage is the sum over all disks', () => {
    write('blkio.throttle.io_service_bytes', '8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 1\nTotal 31\n');
    write('blkio.throttle.io_serviced', '8:0 Read 2\n8:0 Write 3\nTotal 5\n');
    write('io.stat', '8:0 rbytes=10 wbytes=20 rios=2 wios=3 dbytes=9 dios=9\n8:16 rbytes=1 wbytes=0 rios=0 wios=0\n');
    const usage = { readBytes: 11, writtenBytes: 20, reads: 2, writes: 3 };
    expect([ioControllerOf('v1').usage(top), ioControllerOf('v2').usage(top)]).toEqual([usage, usage]);
    expect(ioControllerOf('v2').usage(join(top, 'none'))).toBeUndefined();
  });
});

describe('huge pages', () => {
  test('have the kernel’s names', () => {
    expect([64 * 2 ** 10, 2 * 2 ** 20, 512 * 2 ** 20, 2 ** 30].map(hugePageName)).toEqual([
      '64KB',
      '2MB',
      '512MB',
      '1GB',
    ]);
  });

  test('are limited when they are used and, where the kernel can, when they are reserved', () => {
    write('hugetlb.2MB.rsvd.max', 'max');
    limitHugePages(top, 'v2', 2 * 2 ** 20, 2 ** 22);
    limitHugePages(top, 'v1', 2 ** 30, 2 ** 31);
    expect([read('hugetlb.2MB.max'), read('hugetlb.2MB.rsvd.max'), read('hugetlb.1GB.limit_in_bytes')]).toEqual([
      '4194304',
      '4194304',
      '2147483648',
    ]);
    expect(existsSync(join(top, 'hugetlb.1GB.rsvd.limit_in_bytes'))).toBe(false);
  });

  test('come in the sizes that the kernel lists', () => {
    for (const name of ['hugepages-2048kB', 'hugepages-1048576kB', 'other']) mkdirSync(join(top, name));
    expect(hugePageSizes(top).sort((a, b) => a - b)).toEqual([2 * 2 ** 20, 2 ** 30]);
    expect(hugePageSizes(join(top, 'none'))).toEqual([]);
  });
});

test('pressure is read as the kernel writes it', () => {
  write(
    'cpu.pressure',
    'some avg10=1.50 avg60=0.25 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
  );
  write('io.pressure', 'some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n');
  expect(readPressure(top, 'cpu')).toEqual({
    some: { avg10: 1.5, avg60: 0.25, avg300: 0, totalSeconds: 2.5 },
    full: { avg10: 0, avg60: 0, avg300: 0, totalSeconds: 0 },
  });
  expect(readPressure(top, 'io')).toEqual({ some: { avg10: 0, avg60: 0, avg300: 0, totalSeconds: 1e-6 } });
  expect(readPressure(top, 'memory')).toBeUndefined();
});
