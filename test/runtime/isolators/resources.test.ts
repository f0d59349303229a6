/** Processors, disk rates, huge pages, swap and pressure, with what the kernel makes of them. */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ContainerResources, Task, TaskContainer } from '../../../crds/types.generated.ts';
import { detectCgroups } from '../../../runtime/cgroups/detect.ts';
import { createExtraGroups } from '../../../runtime/cgroups/extra.ts';
import type { LaunchSpec } from '../../../runtime/containerizers/containerizer.ts';
import { parseCpuList } from '../../../runtime/resources/cpu-list.ts';
import { readTopology } from '../../../runtime/resources/topology.ts';
import { mapperProgram } from '../../setup/huge-pages.ts';
import { SLOW } from '../../setup/slow.ts';
import { wholeDisk } from '../../setup/whole-disk.ts';
import { eventually, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { hasCompiler } from '../launcher/harness.ts';

const describeIf = unavailable ? describe.skip : describe;
const host = unavailable ? undefined : detectCgroups();
const version = (name: 'cpuset' | 'io' | 'hugetlb') =>
  host && createExtraGroups(host, 'tepui-test-none', (id) => id).version(name);
const processors = readTopology().map(({ id }) => id);
/** The disk below /var/lib, if it is a whole one. */
const disk = wholeDisk('/var/lib');

describeIf(`what containers ask for beyond CPU time and memory (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  const running: LaunchSpec[] = [];
  beforeAll(async () => {
    node = await startNode();
  });
  afterEach(async () => {
    for (const { containerId } of running.splice(0)) await node.containerizer.destroy(containerId);
  });
  afterAll(() => node.close());

  const start = async (resources: ContainerResources = {}, cpus = 0.5, shell = 'sleep 600') => {
    const container: Partial<TaskContainer> = { shell, resources: resources as TaskContainer['resources'] };
    const spec = node.spec(container, { resources: { requests: { cpus, memBytes: 64 << 20 }, limits: {} } });
    await node.containerizer.launch(spec);
    running.push(spec);
    return spec;
  };
  const problems = (resources: ContainerResources) =>
    node.containerizer.unsupported(
      node.spec(
        { command: ['true'] },
        { task: { containers: [{ name: 'c', command: ['true'], resources } as TaskContainer] } },
      ).task,
    );
  /** The processors that a further command of the container may run on: also of the command itself, through its parent's group. */
  const allowed = async ({ containerId }: LaunchSpec, pid = 'self') => {
    const argv = ['sh', '-c', `grep Cpus_allowed_list: /proc/${pid}/status | cut -f2`];
    const session = await node.containerizer.exec({ containerId, argv, tty: false, stdin: false });
    const [text] = await Promise.all([textOf(session.stdout), session.exit]);
    return parseCpuList(text);
  };
  const both = async (spec: LaunchSpec) => {
    const [own, further] = [await allowed(spec, '2'), await allowed(spec)];
    expect(further).toEqual(own);
    return own;
  };

  const cpusetIf = version('cpuset') && processors.length >= 2 ? test : test.skip; // needs the controller and two processors

  cpusetIf('a container stays on the processors of its cpuset, and so does what it starts', async () => {
    const [, second] = processors;
    const spec = await start({ cpuset: String(second) }, 0.5, 'while :; do :; done & sleep 600');
    expect(await both(spec)).toEqual([second]);
    // Field 39 of /proc/PID/stat: where it ran last.
    const { stdout } = await node.run({
      shell: 'i=0; while [ $i -lt 20 ]; do cut -d" " -f39 /proc/self/stat; i=$((i+1)); done | sort -u',
      resources: { cpuset: String(second) } as TaskContainer['resources'],
    });
    expect(stdout.trim()).toBe(String(second));
  });

  cpusetIf('memory can be taken from the NUMA nodes that are named', async () => {
    const { stdout } = await node.run({
      shell: 'grep Mems_allowed_list: /proc/self/status | cut -f2',
      resources: { memoryNodes: '0' } as TaskContainer['resources'],
    });
    expect(stdout.trim()).toBe('0');
  });

  cpusetIf('exclusive processors are nobody else’s, running or started later, until their owner ends', async () => {
    const before = await start();
    const pinned = await start({ cpuset: processors.join(',') });
    const owner = await start({ exclusiveCpus: true }, 1);
    const after = await start();
    const [own] = await both(owner);
    const rest = processors.filter((id) => id !== own);
    for (const spec of [before, pinned, after]) expect(await both(spec)).toEqual(rest);

    await node.restart();
    await node.containerizer.recover(running.map(({ containerId }) => containerId));
    const later = await start();
    for (const spec of [before, pinned, after, later]) expect(await both(spec)).toEqual(rest);
    expect(await both(owner)).toEqual([own]);

    await node.containerizer.destroy(owner.containerId);
    for (const spec of [before, pinned, after, later]) expect(await allowed(spec, '2')).toEqual(processors);
  });

  cpusetIf('an agent that was killed while it gave processors away puts things right when it is back', async () => {
    const other = await start();
    const owner = await start({ exclusiveCpus: true }, 1);
    await node.restart();
    // As if it had died right after the owner's group was gone: nobody has told the others.
    await node.containerizer.recover([other.containerId]);
    expect(await allowed(other, '2')).toEqual(processors);
    expect(existsSync(`/proc/${owner.containerId}`)).toBe(false);
  });

  cpusetIf('exclusive processors are kept also within a task group', async () => {
    const groupId = randomUUID();
    const task = { metadata: { name: 'g', namespace: 'default' }, spec: { containers: [] } } as unknown as Task;
    const member = async (name: string, exclusiveCpus: boolean) => {
      const resources = { requests: { cpus: 1, memBytes: 64 << 20 }, limits: {} };
      const container = { command: ['sleep', '600'], resources: { exclusiveCpus } as TaskContainer['resources'] };
      const spec = node.spec(container, { resources, groupId, containerId: `${groupId}.${name}` });
      await node.containerizer.launch(spec);
      running.push(spec);
      return spec;
    };
    await node.containerizer.prepareGroup!({ groupId, task });
    const beside = await member('beside', false);
    const owner = await member('owner', true);
    const [own] = await both(owner);
    expect(await both(beside)).toEqual(processors.filter((id) => id !== own));
    for (const { containerId } of running.splice(0)) await node.containerizer.destroy(containerId);
    await node.containerizer.destroyGroup!(groupId);
  });

  cpusetIf('one processor always stays for the others', async () => {
    await expect(start({ exclusiveCpus: true }, processors.length)).rejects.toThrow(
      `resources.exclusiveCpus: this agent has no ${processors.length} processors left to give away`,
    );
    const after = await start();
    expect(await both(after)).toEqual(processors);
  });

  cpusetIf('a container whose processors are all given away is refused', async () => {
    const owner = await start({ exclusiveCpus: true }, 1);
    const [own] = await allowed(owner);
    await expect(start({ cpuset: String(own) })).rejects.toThrow('are given exclusively to others');
  });

  test('processors and nodes that are not there, and fractions of exclusive ones, are refused by name', () => {
    if (!version('cpuset')) return;
    expect(problems({ cpuset: '0,4000' })).toEqual([
      expect.stringMatching(/^spec\.containers\[0\]\.resources\.cpuset: this agent has processors .*, not 4000$/),
    ]);
    expect(problems({ memoryNodes: '63' })).toEqual([
      expect.stringContaining('resources.memoryNodes: this agent has NUMA nodes'),
    ]);
    expect(problems({ exclusiveCpus: true, requests: { cpus: '1500m' } })).toEqual([
      'spec.containers[0].resources.exclusiveCpus: requests.cpus must be a whole number, it is 1500m',
    ]);
  });

  test('what nobody asked for has no group', async () => {
    const { containerId } = await start();
    const groups = ['cpuset', 'blkio', 'devices'].map(
      (name) => `/sys/fs/cgroup/${name}/${node.cgroupRoot}/${containerId}`,
    );
    expect(groups.filter((path) => existsSync(path))).toEqual([]);
  });

  const ioIf = version('io') && disk ? test : test.skip; // needs the controller, and /var/lib on a whole disk

  ioIf('writes to a disk are as SLOW as its limit says', async () => {
    const bytes = 8 << 20;
    const write = async (resources: object) => {
      const begun = performance.now();
      const { termination, stderr } = await node.run({
        shell: `dd if=/dev/zero of=file bs=1M count=${bytes >> 20} oflag=direct`,
        resources: resources as TaskContainer['resources'],
      });
      expect({ ...termination, stderr }).toMatchObject({ exitCode: 0 });
      return performance.now() - begun;
    };
    const freeMs = await write({});
    // However SLOW the machine is: three times as SLOW as it was, and two seconds at least.
    const wantedMs = Math.max(2000, 3 * freeMs);
    const writeBytesPerSecond = Math.round((bytes / wantedMs) * 1000);
    const limitedMs = await write({ io: { devices: [{ path: disk!, writeBytesPerSecond, readsPerSecond: 1000 }] } });
    expect(limitedMs).toBeGreaterThan(0.75 * wantedMs);
  });

  ioIf('and what it read and wrote is in the statistics', async () => {
    const spec = await start(
      { io: { devices: [{ path: disk!, writeBytesPerSecond: '400Mi' }] } } as ContainerResources,
      0.5,
      'dd if=/dev/zero of=file bs=1M count=3 oflag=direct; sleep 600',
    );
    await eventually(async () => ((await node.containerizer.usage(spec.containerId)).diskWrittenBytes ?? 0) >= 3 << 20);
    expect((await node.containerizer.usage(spec.containerId)).diskWrites).toBeGreaterThan(0);
  });

  test('a path that is no disk, or none at all, is refused by name', () => {
    if (!version('io')) return;
    const of = (path: string) => problems({ io: { devices: [{ path }] } } as ContainerResources);
    expect(of('/dev/null')).toEqual([
      'spec.containers[0].resources.io.devices[0].path: /dev/null is not a block device',
    ]);
    expect(of('/dev/nothing')).toEqual([expect.stringContaining('/dev/nothing does not exist on this agent')]);
  });

  const pages = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
  const hugetlbIf = version('hugetlb') && existsSync(pages) && hasCompiler ? test : test.skip; // needs the controller, pages of 2 MiB, and cc

  hugetlbIf('huge pages beyond the limit are refused to the container, within it given', async () => {
    const free = readFileSync(pages, 'utf8').trim();
    writeFileSync(pages, String(Number(free) + 4));
    try {
      if (Number(readFileSync(pages, 'utf8')) < Number(free) + 4) return; // memory too fragmented
      const program = await mapperProgram();
      const map = async (count: number) =>
        (
          await node.run({
            command: [program, String(count)],
            resources: { hugepages: [{ pageSize: '2Mi', limit: '4Mi' }] } as TaskContainer['resources'],
          })
        ).termination.exitCode;
      expect([await map(2), await map(3)]).toEqual([0, 1]);
    } finally {
      writeFileSync(pages, free);
    }
  });

  test('page sizes that the machine does not have, and broken numbers of pages, are refused by name', () => {
    if (!version('hugetlb')) return;
    const of = (pageSize: string, limit: string) => problems({ hugepages: [{ pageSize, limit }] });
    expect(of('3Mi', '3Mi')).toEqual([
      expect.stringMatching(/hugepages\[0\]\.pageSize: this agent has pages of .*, not 3Mi$/),
    ]);
    expect(of('2Mi', '3Mi')).toEqual([expect.stringContaining('is not a whole number of pages of 2Mi')]);
  });

  test('there is no swap unless the document says how much', async () => {
    const limitOf = async (swapBytes?: number) => {
      const limits = { memBytes: 64 << 20, ...(swapBytes !== undefined && { swapBytes }) };
      const spec = node.spec(
        { command: ['sleep', '60'] },
        { resources: { requests: { cpus: 0.1, memBytes: 64 << 20 }, limits } },
      );
      await node.containerizer.launch(spec);
      running.push(spec);
      const v1 = `/sys/fs/cgroup/memory/${node.cgroupRoot}/${spec.containerId}/memory.memsw.limit_in_bytes`;
      const v2 = `${host!.unified}/${node.cgroupRoot}/${spec.containerId}/memory.swap.max`;
      return existsSync(v1) ? Number(readFileSync(v1, 'utf8')) - (64 << 20) : Number(readFileSync(v2, 'utf8'));
    };
    expect([await limitOf(), await limitOf(32 << 20)]).toEqual([0, 32 << 20]);
  });

  const psiIf = host?.unified && existsSync('/proc/pressure/cpu') ? test : test.skip; // needs a cgroup v2 mount and PSI

  psiIf('waiting for the processor is in the statistics', async () => {
    const shell = 'i=0; while [ $i -lt 6 ]; do (while :; do :; done) & i=$((i+1)); done; sleep 600';
    const spec = await start({}, 0.5, shell);
    await eventually(
      async () => ((await node.containerizer.usage(spec.containerId)).pressure?.cpu?.some.totalSeconds ?? 0) > 0.05,
    );
    const { pressure } = await node.containerizer.usage(spec.containerId);
    expect(pressure).toMatchObject({ cpu: { some: { avg10: expect.any(Number) } }, memory: {}, io: {} });
    await sleep(10 * SLOW);
  });
});

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}
