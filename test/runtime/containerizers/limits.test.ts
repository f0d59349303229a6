import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually, startNode, type TestNode, unavailable } from './harness.ts';

const describeIf = unavailable ? describe.skip : describe;
/** Takes the memory in one process. */
const eat = (mib: number) => `head -c ${mib}m /dev/zero | tail -c ${mib}m > /dev/null`;
const resources = (part: object) => ({ requests: { cpus: 0.5, memBytes: 32 << 20 }, limits: {}, ...part });

describeIf(`limits of a container (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode();
  });
  afterAll(() => node.close());

  test('more memory than the limit ends it, and the reason says how much it was', async () => {
    const { termination } = await node.run(
      { command: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=512M', 'count=1'] },
      { resources: resources({}) },
    );
    expect(termination).toMatchObject({
      signal: 9,
      oomKilled: true,
      limitation: { reason: 'ContainerLimitationMemory', resource: 'mem' },
    });
    expect(termination.limitation!.message).toMatch(
      /^Memory limit exceeded: the limit is 32Mi, it used 3[12](\.\d)?Mi\./,
    );
  });

  test('all of its processes end, not only the one that the kernel chose', async () => {
    const spec = node.spec({ shell: `sleep 100 & ${eat(512)}; sleep 100` }, { resources: resources({}) });
    await node.containerizer.launch(spec);
    const termination = await node.containerizer.wait(spec.containerId);
    expect(termination.limitation?.reason).toBe('ContainerLimitationMemory');
    await node.containerizer.destroy(spec.containerId);
  });

  test('files in its /tmp count as memory', async () => {
    const { termination } = await node.run(
      { shell: 'head -c 64m /dev/zero > /tmp/file && sleep 100' },
      { resources: resources({}) },
    );
    expect(termination.limitation?.reason).toBe('ContainerLimitationMemory');
  });

  test('the limit may be above the request', async () => {
    const { termination } = await node.run(
      { shell: eat(64) },
      { resources: resources({ limits: { memBytes: 256 << 20 } }) },
    );
    expect(termination).toMatchObject({ exitCode: 0, oomKilled: false });
  });

  test('as few open files as the program itself needs are enough', async () => {
    const { stdout } = await node.run({
      shell: 'ulimit -n',
      rlimits: [{ type: 'RLMT_NOFILE', soft: 5, hard: 5 }],
    });
    expect(stdout).toBe('5\n');
  });

  test('a container that fails for another reason has no limitation', async () => {
    const { termination } = await node.run({ shell: 'kill -9 $$' });
    expect(termination).toMatchObject({ signal: 9, oomKilled: false });
    expect(termination.limitation).toBeUndefined();
  });

  test('a CPU limit holds a busy loop down', async () => {
    const spec = node.spec({ shell: 'while :; do :; done' }, { resources: resources({ limits: { cpus: 0.2 } }) });
    await node.containerizer.launch(spec);
    const cpuSeconds = async () => {
      const usage = await node.containerizer.usage(spec.containerId);
      return usage.cpusUserTimeSeconds + usage.cpusSystemTimeSeconds;
    };
    const before = [await cpuSeconds(), performance.now()] as const;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const share = ((await cpuSeconds()) - before[0]) / ((performance.now() - before[1]) / 1000);
    const usage = await node.containerizer.usage(spec.containerId);
    await node.containerizer.destroy(spec.containerId);
    expect(share).toBeGreaterThan(0.05);
    expect(share).toBeLessThan(0.3);
    expect(usage.cpusNrThrottled).toBeGreaterThan(0);
    expect(usage.cpusThrottledTimeSeconds).toBeGreaterThan(0);
  });

  test('a fork bomb ends at the limit of processes', async () => {
    const { stdout } = await node.run(
      { shell: 'i=0; while [ $i -lt 50 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; ls -d /proc/[0-9]* | wc -l' },
      { resources: resources({ pids: 20 }) },
    );
    expect(Number(stdout.trim() || 0)).toBeLessThanOrEqual(20);
  });

  test('containers that name no limit of processes get that of the agent', async () => {
    node.isolation.defaultPidsLimit = 55;
    const spec = node.spec({ command: ['sleep', '60'] });
    await node.containerizer.launch(spec);
    const file = node.groups(spec.containerId).map((group) => `${group}/pids.max`);
    const found = file.flatMap((path) => {
      try {
        return [readFileSync(path, 'utf8').trim()];
      } catch {
        return [];
      }
    });
    await node.containerizer.destroy(spec.containerId);
    delete node.isolation.defaultPidsLimit;
    expect(found).toEqual(['55']);
  });

  test('usage shows memory, its peak and limit, CPU time and processes', async () => {
    const spec = node.spec({ shell: 'head -c 10m /dev/zero > /tmp/file; sleep 60 & sleep 60' });
    await node.containerizer.launch(spec);
    let usage = await node.containerizer.usage(spec.containerId);
    await eventually(async () => {
      usage = await node.containerizer.usage(spec.containerId);
      // The command, and the two that it starts once the file is there.
      return usage.memTotalBytes > 10 << 20 && (usage.processes ?? 0) >= 3;
    }, 'memory and processes in use');
    await node.containerizer.destroy(spec.containerId);
    expect(usage.memLimitBytes).toBe(64 << 20);
    expect(usage.memPeakBytes).toBeGreaterThan(10 << 20);
    expect(usage.memCacheBytes).toBeGreaterThan(9 << 20);
    expect(usage.cpusUserTimeSeconds + usage.cpusSystemTimeSeconds).toBeGreaterThan(0);
    await expect(node.containerizer.usage(spec.containerId)).rejects.toThrow('is not running');
  });

  test('limits change while it runs; the memory limit not to less than what is in use', async () => {
    const spec = node.spec({ shell: 'head -c 20m /dev/zero > /tmp/file; sleep 60' });
    await node.containerizer.launch(spec);
    await eventually(
      async () => (await node.containerizer.usage(spec.containerId)).memTotalBytes > 20 << 20,
      'memory in use',
    );
    const update = (memBytes: number) =>
      node.containerizer.update(spec.containerId, {
        requests: { cpus: 1, memBytes },
        limits: { cpus: 1.5, memBytes },
        pids: 30,
      });
    await update(128 << 20);
    const raised = await node.containerizer.usage(spec.containerId);
    await update(40 << 20);
    const lowered = await node.containerizer.usage(spec.containerId);
    await expect(update(8 << 20)).rejects.toThrow('in use');
    const kept = await node.containerizer.usage(spec.containerId);
    await node.containerizer.destroy(spec.containerId);
    expect([raised, lowered, kept].map(({ memLimitBytes }) => memLimitBytes)).toEqual([128 << 20, 40 << 20, 40 << 20]);
    expect(raised.cpusLimit).toBe(1.5);
  });
});
