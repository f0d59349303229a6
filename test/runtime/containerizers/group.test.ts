import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';
import { detectCgroups } from '../../../runtime/cgroups/detect.ts';
import type { ContainerResources, LaunchSpec } from '../../../runtime/containerizers/containerizer.ts';
import { cgroupVersion, eventually, startNode, type TestNode, unavailable } from './harness.ts';

const describeIf = unavailable ? describe.skip : describe;
const MiB = 2 ** 20;

describeIf(`a task of several containers (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode();
  });
  // Whatever a test that failed has left.
  afterEach(() => node.containerizer.recover([]));
  afterAll(() => node.close());

  /** Specs by container name; nothing is made yet. */
  function group(
    containers: TaskContainer[],
    task: Partial<Task['spec']> = {},
    part: Pick<Partial<LaunchSpec>, 'resources'> = {},
  ) {
    const groupId = randomUUID();
    const document = { metadata: { name: 'pod', namespace: 'default' }, spec: { containers, ...task } } as Task;
    const specs = containers.map((container) => {
      const spec = node.spec(container, part);
      return { ...spec, containerId: `${groupId}.${container.name}`, groupId, task: document };
    });
    return {
      groupId,
      task: document,
      specs,
      one: (name: string) => specs.find(({ container }) => container.name === name)!,
    };
  }
  const together = (memBytes: number): ContainerResources => ({
    requests: { cpus: 1, memBytes },
    limits: { cpus: 1, memBytes },
    pids: 100,
  });
  const { controllers, unified } = detectCgroups();
  const hierarchies = [...new Set([...controllers.values(), ...(unified ? [unified] : [])])];
  const leftIn = (path: string) =>
    hierarchies.flatMap((hierarchy) => {
      const directory = `${hierarchy}/${node.cgroupRoot}${path}`;
      return existsSync(directory)
        ? readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
            entry.isDirectory() && !entry.name.startsWith('_') ? [entry.name] : [],
          )
        : [];
    });
  function pauseOf(groupId: string): number {
    const pause = readdirSync('/proc').find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`${groupId}._pause`);
      } catch {
        return false; // it ended meanwhile
      }
    });
    return Number(pause);
  }
  async function output(spec: LaunchSpec): Promise<string> {
    await node.containerizer.wait(spec.containerId);
    return node.output(spec) + node.output(spec, 'stderr');
  }
  async function destroy({ groupId, specs }: ReturnType<typeof group>): Promise<void> {
    for (const { containerId } of specs) await node.containerizer.destroy(containerId);
    await node.containerizer.destroyGroup!(groupId);
    expect(leftIn('')).toEqual([]);
    expect(readdirSync(join(node.runtimeDir, 'launches'))).toEqual([]);
    expect(readdirSync(join(node.dataDir, 'agent/containers'))).toEqual([]);
    expect(readdirSync(join(node.runtimeDir, 'groups'))).toEqual([]);
  }

  test('shares IPC and /dev/shm, and each container sees its own processes only', async () => {
    const shared = group([
      {
        name: 'first',
        shell:
          'echo hello >/dev/shm/word; ipcmk -Q >/dev/null; ls -d /proc/[0-9]* | wc -l; readlink /proc/self/ns/ipc; sleep 100',
        namespaces: { shmSize: '3Mi' },
      },
      {
        name: 'second',
        shell:
          'cat /dev/shm/word; ipcs -q | grep -c 0x; df -k /dev/shm | tail -1; ls -d /proc/[0-9]* | wc -l; readlink /proc/self/ns/ipc',
      },
    ]);
    await node.containerizer.prepareGroup!(shared);
    await node.containerizer.launch(shared.one('first'));
    await eventually(() => node.output(shared.one('first')).includes('ipc:'), 'first container');
    await node.containerizer.launch(shared.one('second'));
    const [word, queues, disk, processes, ipc] = (await output(shared.one('second'))).trim().split('\n');
    expect([word, queues]).toEqual(['hello', '1']);
    expect(disk).toMatch(/\s3072\s/);
    expect(Number(processes)).toBeLessThan(6);
    expect(node.output(shared.one('first'))).toContain(ipc);
    expect(readFileSync('/proc/sys/kernel/hostname', 'utf8')).not.toBe('');
    await destroy(shared);
  });

  test('with pid namespaces of the task all see all; the process that keeps it survives them and reaps orphans', async () => {
    const shared = group([
      { name: 'first', shell: 'sleep 1234', namespaces: { pid: 'Task' } },
      {
        name: 'second',
        shell:
          "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; (sh -c 'sleep 0.01 & echo' &); sleep 0.3; echo zombies $(grep -l zomb''ie /proc/[0-9]*/status 2>/dev/null | wc -l)",
        namespaces: { pid: 'Task' },
      },
      { name: 'third', shell: 'ls -d /proc/[0-9]* | wc -l' },
    ]);
    await node.containerizer.prepareGroup!(shared);
    for (const spec of shared.specs) await node.containerizer.launch(spec);
    const seen = await output(shared.one('second'));
    expect(seen).toContain('sleep 1234');
    expect(seen).toContain('tepui-pause');
    expect(seen).toContain('zombies 0');
    expect(Number((await output(shared.one('third'))).trim())).toBeLessThan(6);
    await node.containerizer.signal(shared.one('first').containerId, 15);
    expect(await node.containerizer.wait(shared.one('first').containerId)).toMatchObject({ signal: 15 });
    await destroy(shared);
  });

  test('ending one container leaves the others, its own left-over processes go with it', async () => {
    const shared = group([
      { name: 'first', shell: 'sleep 4321 & sleep 0.2', namespaces: { pid: 'Task' } },
      { name: 'second', shell: 'sleep 100', namespaces: { pid: 'Task' } },
    ]);
    await node.containerizer.prepareGroup!(shared);
    for (const spec of shared.specs) await node.containerizer.launch(spec);
    await node.containerizer.wait(shared.one('first').containerId);
    await node.containerizer.destroy(shared.one('first').containerId);
    const session = await node.containerizer.exec({
      containerId: shared.one('second').containerId,
      argv: ['sh', '-c', 'cat /proc/[0-9]*/cmdline'],
      tty: false,
      stdin: false,
    });
    let text = '';
    for await (const chunk of session.stdout) text += chunk;
    expect(text).toContain('sleep');
    expect(text).not.toContain('4321');
    await destroy(shared);
  });

  test('with network mode None shares one loopback, on which every port may be used', async () => {
    const shared = group(
      [
        {
          name: 'server',
          shell:
            'exec perl -MIO::Socket::INET -e \'my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1:80") or die $!; $| = 1; print "up\\n"; my $c = $s->accept; print $c "hi\\n"; close $c\'',
        },
        {
          name: 'client',
          shell:
            'exec perl -MIO::Socket::INET -e \'my $s = IO::Socket::INET->new("127.0.0.1:80") or die $!; print <$s>\'',
        },
      ],
      { network: { mode: 'None' } },
    );
    await node.containerizer.prepareGroup!(shared);
    await node.containerizer.launch(shared.one('server'));
    await eventually(() => node.output(shared.one('server')).includes('up'), 'the server');
    await node.containerizer.launch(shared.one('client'));
    expect(await output(shared.one('client'))).toBe('hi\n');
    await destroy(shared);
  });

  test('is held to the sum of its limits: what one leaves another may use, and accounting stays apart', async () => {
    const hog = 'perl -e \'$| = 1; my $n = 60 << 20; my $x = "x" x $n; print length $x, "\\n"; sleep 1000\'';
    const shared = group(
      [
        { name: 'small', shell: 'sleep 1000' },
        { name: 'large', shell: hog },
      ],
      {},
      { resources: { requests: { cpus: 0.1, memBytes: 48 * MiB }, limits: { memBytes: 48 * MiB } } },
    );
    await node.containerizer.prepareGroup!({ ...shared, resources: together(96 * MiB) });
    for (const spec of shared.specs) await node.containerizer.launch(spec);
    await eventually(() => node.output(shared.one('large')).includes('\n'), 'memory in use');
    const [small, large] = await Promise.all(
      shared.specs.map(({ containerId }) => node.containerizer.usage(containerId)),
    );
    expect(large!.memTotalBytes).toBeGreaterThan(60 * MiB);
    expect(small!.memTotalBytes).toBeLessThan(20 * MiB);
    await destroy(shared);
  });

  test('more memory than all may use together ends all of them, and says which limit it was', async () => {
    const shared = group([
      { name: 'innocent', shell: 'sleep 1000' },
      {
        name: 'hungry',
        shell: 'sleep 0.3; exec perl -e \'my @x; push @x, "x" x ($_ + (1 << 20)) for 1..500; sleep 1000\'',
      },
    ]);
    await node.containerizer.prepareGroup!({ ...shared, resources: together(64 * MiB) });
    for (const spec of shared.specs) await node.containerizer.launch(spec);
    for (const { containerId } of shared.specs) {
      const termination = await node.containerizer.wait(containerId);
      expect(termination).toMatchObject({ oomKilled: true, limitation: { reason: 'ContainerLimitationMemory' } });
      expect(termination.limitation?.message).toMatch(/the containers of the task may use 65Mi together/);
    }
    await destroy(shared);
  });

  test('with shareCgroups false only the container over its own limit ends', async () => {
    const shared = group(
      [
        { name: 'innocent', shell: 'sleep 1000' },
        { name: 'hungry', shell: 'exec perl -e \'my @x; push @x, "x" x ($_ + (1 << 20)) for 1..500; sleep 1000\'' },
      ],
      { shareCgroups: false },
    );
    await node.containerizer.prepareGroup!(shared);
    for (const spec of shared.specs) await node.containerizer.launch(spec);
    const termination = await node.containerizer.wait(shared.one('hungry').containerId);
    expect(termination).toMatchObject({ oomKilled: true });
    expect(termination.limitation?.message).toMatch(/the limit is 64Mi/);
    expect((await node.containerizer.usage(shared.one('innocent').containerId)).processes).toBeGreaterThan(0);
    await destroy(shared);
  });

  test('a larger limit of one container raises what all have', async () => {
    const own: ContainerResources = {
      requests: { cpus: 0.1, memBytes: 32 * MiB },
      limits: { memBytes: 32 * MiB },
      pids: 50,
    };
    const shared = group(
      [
        { name: 'a', shell: 'sleep 1000' },
        { name: 'b', shell: 'sleep 1000' },
      ],
      {},
      { resources: own },
    );
    await node.containerizer.prepareGroup!({ ...shared, resources: together(64 * MiB) });
    for (const spec of shared.specs) await node.containerizer.launch(spec);
    await node.containerizer.update(shared.one('a').containerId, { ...own, limits: { memBytes: 96 * MiB } });
    const [file] = cgroupVersion === 'v2' ? ['memory.max'] : ['memory.limit_in_bytes'];
    const directory = `${controllers.get('memory')}/${node.cgroupRoot}/${shared.groupId}`;
    expect(Number(readFileSync(`${directory}/${file}`, 'utf8'))).toBe(129 * MiB);
    await destroy(shared);
  });

  test('a larger limit counts once, also when the agent was killed before the container had it', async () => {
    const own: ContainerResources = { requests: { cpus: 0.1, memBytes: 32 * MiB }, limits: { memBytes: 32 * MiB } };
    const shared = group([{ name: 'a', shell: 'sleep 1000' }], {}, { resources: own });
    await node.containerizer.prepareGroup!({ ...shared, resources: together(32 * MiB) });
    const { containerId } = shared.one('a');
    await node.containerizer.launch(shared.one('a'));
    const record = join(node.runtimeDir, 'launches', `${containerId}.json`);
    const before = readFileSync(record);
    const [file] = cgroupVersion === 'v2' ? ['memory.max'] : ['memory.limit_in_bytes'];
    const limit = () =>
      Number(readFileSync(`${controllers.get('memory')}/${node.cgroupRoot}/${shared.groupId}/${file}`, 'utf8'));
    for (const memBytes of [96 * MiB, 96 * MiB, 64 * MiB]) {
      await node.containerizer.update(containerId, { ...own, limits: { memBytes } });
      expect(limit()).toBe(memBytes + MiB);
      writeFileSync(record, before);
      await node.restart();
      await node.containerizer.recover([containerId]);
    }
    await destroy(shared);
  });

  test('is taken back by the next agent: containers, and what they share', async () => {
    const shared = group([
      { name: 'first', shell: 'echo word >/dev/shm/kept; sleep 1000' },
      { name: 'second', shell: 'cat /dev/shm/kept' },
    ]);
    await node.containerizer.prepareGroup!(shared);
    await node.containerizer.launch(shared.one('first'));
    await eventually(() => existsSync(join(shared.one('first').sandbox, 'stdout')), 'start');
    await node.restart();
    const expected = shared.one('first').containerId;
    expect(await node.containerizer.recover([expected])).toMatchObject([{ containerId: expected, running: true }]);
    await node.containerizer.prepareGroup!(shared);
    await node.containerizer.launch(shared.one('second'));
    expect(await output(shared.one('second'))).toBe('word\n');
    await destroy(shared);
  });

  test('ends with what it shares, also when that was lost while no agent was there', async () => {
    const shared = group([{ name: 'first', shell: 'sleep 1000' }]);
    await node.containerizer.prepareGroup!(shared);
    await node.containerizer.launch(shared.one('first'));
    await node.restart();
    const pause = pauseOf(shared.groupId);
    process.kill(pause, 'SIGKILL');
    await eventually(() => !existsSync(`/proc/${pause}`), 'its end');
    const { containerId } = shared.one('first');
    await node.containerizer.recover([containerId]);
    await node.containerizer.groupEnded!(shared.groupId);
    expect(await node.containerizer.wait(containerId)).toMatchObject({ signal: 9, groupLost: true });
    await destroy(shared);
  });

  test('ends with what it shares, also what is being started when that is lost', async () => {
    for (let round = 0; round < 12; round++) {
      const shared = group([{ name: 'first', shell: 'sleep 1000' }]);
      await node.containerizer.prepareGroup!(shared);
      const pause = pauseOf(shared.groupId);
      const launch = node.containerizer.launch(shared.one('first'));
      await delay(round);
      process.kill(pause, 'SIGKILL');
      const launched = await launch.catch((error: Error) => error);
      if (!(launched instanceof Error))
        expect(await node.containerizer.wait(launched.containerId)).toMatchObject({ signal: 9, groupLost: true });
      await destroy(shared);
    }
  });

  test('without a record of its containers is removed by the next agent', async () => {
    const shared = group([{ name: 'first', shell: 'sleep 1000' }]);
    await node.containerizer.prepareGroup!(shared);
    await node.containerizer.launch(shared.one('first'));
    await node.restart();
    expect(await node.containerizer.recover([])).toEqual([]);
    expect(leftIn('')).toEqual([]);
    expect(readdirSync(join(node.runtimeDir, 'launches'))).toEqual([]);
    expect(existsSync(join(node.runtimeDir, 'groups', shared.groupId))).toBe(false);
  });

  test('of which only its directory is left is removed by the next agent', async () => {
    const directory = join(node.runtimeDir, 'groups', randomUUID());
    mkdirSync(directory, { recursive: true });
    await node.restart();
    await node.containerizer.recover([]);
    expect(existsSync(directory)).toBe(false);
  });

  test('killed at any moment, with all that an agent does with groups, leaves nothing for the next', async () => {
    const fixture = join(import.meta.dirname, 'fixtures/group-agent.ts');
    for (let round = 0; round < Number(process.env.TEPUI_CRASH_ROUNDS ?? 6); round++) {
      const args = [fixture, node.dataDir, node.runtimeDir, node.cgroupRoot];
      const agent = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(agent.stdout!, 'data');
      await delay(20 + Math.random() * 150);
      agent.kill('SIGKILL');
      await once(agent, 'close');
      await node.restart();
      await node.containerizer.recover([]);
      expect(leftIn('')).toEqual([]);
      expect(readdirSync(join(node.runtimeDir, 'launches'))).toEqual([]);
      expect(readdirSync(join(node.dataDir, 'agent/containers'))).toEqual([]);
      expect(readdirSync(join(node.runtimeDir, 'groups'))).toEqual([]);
    }
  });

  test('a container is refused when what it shares is not there', async () => {
    const shared = group([{ name: 'first', shell: 'sleep 1000' }]);
    await expect(node.containerizer.launch(shared.one('first'))).rejects.toThrow(/was never made/);
    await node.containerizer.destroyGroup!(shared.groupId);
    expect(leftIn('')).toEqual([]);
  });
});
