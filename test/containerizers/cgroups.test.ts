/** What is done differently on cgroup v1 and v2, beside the limits that every container has. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { TaskContainer } from '../../crds/types.generated.ts';
import { deviceNumber } from '../../runtime/isolators/filesystem/devices.ts';
import { eventually, root, type TestNode } from '../runtime/containerizers/harness.ts';
import { mapperProgram } from '../setup/huge-pages.ts';
import { wholeDisk } from '../setup/whole-disk.ts';
import { stopTargets, targets } from './targets.ts';

afterAll(stopTargets);

const MIB = 2 ** 20;
const disk = wholeDisk('/var/lib');

describe.each(targets)('the groups of a container: $name', (target) => {
  const testIf = target.problem ? test.skip : test;
  let node: TestNode;
  beforeAll(async () => {
    node = await target.start();
  });
  afterAll(() => node?.close());

  /** Runs what the target takes; one that refuses it must name the field. */
  const withResources = async (
    field: string,
    resources: object,
    run: (container: Partial<TaskContainer>) => Promise<void>,
  ) => {
    const container = { command: ['true'], resources } as Partial<TaskContainer>;
    const [problem] = node.containerizer.unsupported(
      node.spec({}, { task: { containers: [{ name: 'main', image: 'x', ...container } as TaskContainer] } }).task,
    );
    if (problem === undefined) await run(container);
    else expect(problem).toMatch(`spec.containers[0].resources.${field}`);
  };

  testIf('it sees its own limits in /sys/fs/cgroup', async () => {
    const { stdout } = await node.run({
      shell: 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null',
    });
    expect(Number(stdout.trim())).toBe(64 * 2 ** 20);
  });

  const given = ['/dev/fuse', '/dev/loop-control', '/dev/net/tun'].find((path) => existsSync(path));
  (given === undefined ? test.skip : testIf)(
    'a device that it was given can be opened as its permissions say',
    async () => {
      const { major, minor } = deviceNumber(statSync(given!).rdev);
      const device = { path: given!, type: 'c' as const, major, minor, permissions: 'r', mode: 0o666 };
      const script = `(: < ${given}) 2>/dev/null && echo read; [ -e ${given} ] && (: > ${given}) 2>/dev/null && echo BAD write; echo end`;
      const lines = async (devices: object) =>
        (await node.run({ shell: script }, { user: root, ...devices })).stdout.trim().split('\n');
      expect(await lines({ devices: [device] })).toEqual(['read', 'end']);
      expect(await lines({})).toEqual(['end']);
    },
  );

  testIf('processors and memory nodes are those of its list', () =>
    withResources('cpuset', { cpuset: '1', memoryNodes: '0' }, async (container) => {
      const shell = "grep -E '^(Cpus|Mems)_allowed_list' /proc/self/status | cut -f2";
      const { stdout } = await node.run({ ...container, command: undefined, shell } as never);
      expect(stdout).toBe('1\n0\n');
    }),
  );

  (disk ? testIf : test.skip)('writes to a disk are as slow as its limit says, and in the statistics', () =>
    withResources('io', { io: { devices: [{ path: disk, writeBytesPerSecond: '2Mi' }] } }, async (container) => {
      const shell = 'echo up; dd if=/dev/zero of=file bs=256k count=16 oflag=direct; echo over; sleep 1000';
      const spec = node.spec({ ...container, command: undefined, shell } as never);
      await node.containerizer.launch(spec);
      await eventually(() => node.output(spec).includes('up'), 'start');
      const begun = performance.now();
      await eventually(() => node.output(spec).includes('over'), 'the end of the writing');
      expect(performance.now() - begun).toBeGreaterThan(1500);
      const usage = await node.containerizer.usage(spec.containerId);
      expect(usage.diskWrittenBytes).toBeGreaterThanOrEqual(4 * MIB);
      await node.containerizer.destroy(spec.containerId);
    }),
  );

  const pages = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
  (existsSync(pages) ? testIf : test.skip)('huge pages beyond the limit are refused, within it given', async () => {
    const free = readFileSync(pages, 'utf8').trim();
    writeFileSync(pages, String(Number(free) + 4));
    try {
      if (Number(readFileSync(pages, 'utf8')) < Number(free) + 4) return; // memory too fragmented
      await withResources('hugepages', { hugepages: [{ pageSize: '2Mi', limit: '4Mi' }] }, async (container) => {
        const program = await mapperProgram();
        const map = async (count: number) =>
          (await node.run({ ...container, command: [program, String(count)] })).termination.exitCode;
        expect([await map(2), await map(3)]).toEqual([0, 1]);
      });
    } finally {
      writeFileSync(pages, free);
    }
  });
});
