import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { resolveResources } from '../../../runtime/resources/capacity.ts';
import { readOwnCgroupLimits } from '../../../runtime/resources/cgroup-limits.ts';
import { limitFacts, offerResources, readMachineFacts } from '../../../runtime/resources/detect.ts';

const GIB = 2 ** 30;
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-resources-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
}

describe('what a machine offers', () => {
  const offered = (memBytes: number, diskBytes: number) => offerResources({ cpusMilli: 4000, memBytes, diskBytes });

  test("follows Mesos's rules for memory and disk", () => {
    expect(offered(16 * GIB, 100 * GIB)).toEqual({
      cpusMilli: 4000,
      memBytes: 15 * GIB,
      diskBytes: 95 * GIB,
      ports: '31000-32000',
    });
    expect(offered(2 * GIB, 10 * GIB)).toMatchObject({ memBytes: GIB, diskBytes: 5 * GIB });
    expect(offered(GIB, 4 * GIB)).toMatchObject({ memBytes: GIB / 2, diskBytes: 2 * GIB });
  });

  test('is overridden name by name, and an explicit 0 counts', () => {
    const facts = { cpusMilli: 2500, memBytes: 8 * GIB, diskBytes: 20 * GIB };
    const lists = resolveResources(facts, offerResources(facts), { gpus: 0, mem: '1Gi', custom: { licences: 3 } });
    expect(lists.detected).toEqual({ cpus: '2500m', mem: '8Gi', disk: '20Gi', ports: '31000-32000' });
    expect(lists.capacity).toMatchObject({ cpus: '2500m', mem: '1Gi', gpus: 0, custom: { licences: 3 } });
    expect(lists.allocatable).toMatchObject({ cpus: '2500m', mem: '1Gi', disk: '15Gi', gpus: 0, ports: '31000-32000' });
  });

  test('of this machine is positive', async () => {
    const facts = await readMachineFacts({ workDir: directory });
    for (const value of Object.values(facts)) expect(value).toBeGreaterThan(0);
  });
});

describe('the limits of the own cgroup', () => {
  test('are read on v2 as the tightest up to the root', async () => {
    write({
      'proc/self/cgroup': '0::/system.slice/agent.service\n',
      'proc/self/mountinfo': `30 25 0:26 / ${directory}/cg rw - cgroup2 cgroup2 rw\n`,
      'cg/system.slice/agent.service/cpu.max': 'max 100000\n',
      'cg/system.slice/agent.service/memory.max': '4294967296\n',
      'cg/system.slice/cpu.max': '150000 100000\n',
      'cg/system.slice/memory.max': '1073741824\n',
    });
    expect(await readOwnCgroupLimits(join(directory, 'proc'))).toEqual({ cpus: 1.5, memoryBytes: GIB });
  });

  test('are read on v1, where a huge number is no limit and the path may be of another namespace', async () => {
    write({
      'proc/self/cgroup': '4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/docker/abc\n',
      'proc/self/mountinfo': [
        `30 25 0:26 /docker/abc ${directory}/memory rw - cgroup cgroup rw,memory`,
        `31 25 0:27 / ${directory}/cpu rw - cgroup cgroup rw,cpu,cpuacct`,
      ].join('\n'),
      'memory/memory.limit_in_bytes': '536870912\n',
      'cpu/docker/abc/cpu.cfs_quota_us': '50000\n',
      'cpu/docker/abc/cpu.cfs_period_us': '100000\n',
      'cpu/docker/cpu.cfs_quota_us': '-1\n',
      'cpu/docker/cpu.cfs_period_us': '100000\n',
    });
    expect(await readOwnCgroupLimits(join(directory, 'proc'))).toEqual({ cpus: 0.5, memoryBytes: GIB / 2 });
    write({ 'memory/memory.limit_in_bytes': '9223372036854771712\n' });
    expect(await readOwnCgroupLimits(join(directory, 'proc'))).toEqual({ cpus: 0.5 });
  });

  test('lower what is offered', () => {
    const facts = { cpusMilli: 8000, memBytes: 32 * GIB, diskBytes: GIB };
    expect(limitFacts(facts, { cpus: 1.5, memoryBytes: GIB })).toEqual({
      cpusMilli: 1500,
      memBytes: GIB,
      diskBytes: GIB,
    });
    expect(limitFacts(facts, {})).toEqual(facts);
  });
});
