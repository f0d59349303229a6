import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually, root, type TestNode } from '../runtime/containerizers/harness.ts';
import { stopTargets, targets } from './targets.ts';

afterAll(stopTargets);

const MIB = 2 ** 20;

describe.each(targets)('the limits of a container: $name', (target) => {
  const testIf = target.problem ? test.skip : test;
  let node: TestNode;
  beforeAll(async () => {
    node = await target.start();
  });
  afterAll(() => node?.close());

  testIf('more memory than the limit ends it, with the reason and the limit in the message', async () => {
    const { termination } = await node.run(
      { shell: 'head -c 100000000 /dev/zero | tail' },
      { resources: { requests: { cpus: 0.5, memBytes: 32 * MIB }, limits: {} } },
    );
    expect(termination).toMatchObject({
      oomKilled: true,
      limitation: { reason: 'ContainerLimitationMemory', resource: 'mem' },
    });
    expect(termination.limitation?.message).toContain('32Mi');
  });

  testIf('a program killed with SIGKILL is not taken for one that needed too much memory', async () => {
    const spec = node.spec({ shell: 'echo up; kill -9 $$' });
    await node.containerizer.launch(spec);
    const termination = await node.containerizer.wait(spec.containerId);
    expect(termination.oomKilled).toBe(false);
    expect(termination.limitation).toBeUndefined();
    await node.containerizer.destroy(spec.containerId);
  });

  testIf('more processes than the limit cannot be made', async () => {
    const { stdout } = await node.run(
      {
        shell:
          'i=0; while [ $i -lt 30 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; echo $(ls -d /proc/[0-9]* | wc -l); kill $(jobs -p)',
      },
      { resources: { requests: { cpus: 0.5, memBytes: 64 * MIB }, limits: {}, pids: 12 } },
    );
    // A shell that cannot fork may give up at once.
    expect(Number(stdout || '0')).toBeLessThanOrEqual(13);
  });

  testIf('a CPU quota holds, and its use is told', async () => {
    const spec = node.spec(
      { shell: 'echo up; while :; do :; done' },
      { resources: { requests: { cpus: 0.1, memBytes: 64 * MIB }, limits: { cpus: 0.2 } } },
    );
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('up'), 'start');
    const before = await node.containerizer.usage(spec.containerId);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const after = await node.containerizer.usage(spec.containerId);
    const used = (usage: typeof before) => usage.cpusUserTimeSeconds + usage.cpusSystemTimeSeconds;
    const seconds = (after.timestamp.getTime() - before.timestamp.getTime()) / 1000;
    expect((used(after) - used(before)) / seconds).toBeLessThan(0.3);
    expect(used(after)).toBeGreaterThan(used(before));
    // On a busy machine it may not even get as far as its quota.
    expect(after.cpusNrThrottled).toBeGreaterThanOrEqual(0);
    expect(after).toMatchObject({ cpusLimit: 0.2, memLimitBytes: 64 * MIB });
    expect(after.memTotalBytes).toBeGreaterThan(0);
    expect(after.processes).toBeGreaterThanOrEqual(1);
    await node.containerizer.destroy(spec.containerId);
  });

  testIf('limits change while it runs', async () => {
    const spec = node.spec({ shell: 'echo up; sleep 1000' });
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('up'), 'start');
    await node.containerizer.update(spec.containerId, {
      requests: { cpus: 1, memBytes: 96 * MIB },
      limits: { cpus: 1.5, memBytes: 128 * MIB },
    });
    expect(await node.containerizer.usage(spec.containerId)).toMatchObject({
      cpusLimit: 1.5,
      memLimitBytes: 128 * MIB,
    });
    await node.containerizer.destroy(spec.containerId);
  });

  testIf('a frozen container stands still, and goes on', async () => {
    const spec = node.spec({ shell: 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done' });
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).length > 0, 'start');
    await node.containerizer.freeze!(spec.containerId, true);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const frozen = node.output(spec);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(node.output(spec)).toBe(frozen);
    await node.containerizer.freeze!(spec.containerId, false);
    await eventually(() => node.output(spec).length > frozen.length, 'further output');
    await node.containerizer.destroy(spec.containerId);
  });

  testIf('a frozen container can be destroyed', async () => {
    const spec = node.spec({ shell: 'echo up; sleep 1000' });
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('up'), 'start');
    await node.containerizer.freeze!(spec.containerId, true);
    await node.containerizer.destroy(spec.containerId);
    expect(node.groups(spec.containerId)).toEqual([]);
  });

  testIf('rlimits, umask and the scheduler of the out-of-memory killer are as asked for', async () => {
    const { stdout } = await node.run({
      shell: 'ulimit -n; ulimit -Hn; ulimit -c; umask; cat /proc/self/oom_score_adj',
      rlimits: [
        { type: 'RLMT_NOFILE', soft: 100, hard: 200 },
        { type: 'RLMT_CORE', soft: 0, hard: 0 },
      ],
    });
    expect(stdout).toBe('100\n200\n0\n0022\n0\n');
  });

  testIf('its root has the small set of capabilities and no more', async () => {
    const { stdout } = await node.run({ shell: 'grep Cap /proc/self/status' }, { user: root });
    const sets = Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map((line) => [line.slice(3, line.indexOf(':')), BigInt(`0x${line.split('\t')[1]}`)]),
    );
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE SYS_CHROOT
    const expected = [0, 1, 3, 4, 5, 6, 7, 10, 18].reduce((set, bit) => set | (1n << BigInt(bit)), 0n);
    expect(sets).toMatchObject({ Eff: expected, Prm: expected, Bnd: expected, Inh: 0n, Amb: 0n });
  });
});
