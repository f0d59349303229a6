import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { SLOW } from '../../setup/slow.ts';
import { eventually, nobody, root, startNode, type TestNode, unavailable } from './harness.ts';

const describeIf = unavailable ? describe.skip : describe;

describeIf(`the life of a container (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode();
  });
  afterAll(() => node.close());

  const leftOf = (containerId: string) => [
    ...node.groups(containerId),
    ...readdirSync(join(node.dataDir, 'agent/containers')).filter((name) => name.includes(containerId)),
    ...readdirSync(join(node.runtimeDir, 'launches')).filter((name) => name.includes(containerId)),
  ];

  test('output goes to files of its user in the sandbox, the exit code to the caller', async () => {
    const { termination, stdout, stderr } = await node.run({ command: ['sh', '-c', 'echo out; echo err >&2; exit 7'] });
    expect([stdout, stderr]).toEqual(['out\n', 'err\n']);
    expect(termination).toMatchObject({ exitCode: 7, oomKilled: false });
    expect(termination.signal).toBeUndefined();
    expect(Math.abs(termination.finishedAt.getTime() - Date.now())).toBeLessThan(5000 * SLOW);
  });

  test('a shell line gets its arguments, a command is found on PATH', async () => {
    expect((await node.run({ shell: 'echo "$1-$2"', args: ['a', 'b'] })).stdout).toBe('a-b\n');
    expect((await node.run({ command: ['echo'], args: ['$HOME', '*'] })).stdout).toBe('$HOME *\n');
  });

  test('SIGTERM reaches every process, and a program without a handler dies of it', async () => {
    const spec = node.spec({
      shell:
        "trap 'echo caught; wait; exit 0' TERM; sh -c 'trap \"echo child; exit 0\" TERM; echo ready; while :; do sleep 0.05; done' & wait",
    });
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('ready'), 'start');
    await node.containerizer.signal(spec.containerId, 15);
    expect(await node.containerizer.wait(spec.containerId)).toMatchObject({ exitCode: 0 });
    expect(node.output(spec).split('\n').sort()).toEqual(['', 'caught', 'child', 'ready']);
    await node.containerizer.destroy(spec.containerId);

    const simple = node.spec({ command: ['sleep', '100'] });
    await node.containerizer.launch(simple);
    await node.containerizer.signal(simple.containerId, 15);
    expect(await node.containerizer.wait(simple.containerId)).toMatchObject({ signal: 15 });
    await node.containerizer.destroy(simple.containerId);
  });

  test('SIGKILL ends what ignores SIGTERM, with all its children', async () => {
    const spec = node.spec({
      shell: "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo ready; while :; do sleep 1; done",
    });
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('ready'), 'start');
    await node.containerizer.signal(spec.containerId, 15);
    await node.containerizer.signal(spec.containerId, 9);
    expect(await node.containerizer.wait(spec.containerId)).toMatchObject({ signal: 9, oomKilled: false });
    await node.containerizer.destroy(spec.containerId);
    expect(leftOf(spec.containerId)).toEqual([]);
  });

  test('destroy ends and removes it, can be repeated and asked for twice at once, and accepts ids it never saw', async () => {
    const spec = node.spec({ shell: "trap '' TERM; sleep 100 & sleep 100" });
    await node.containerizer.launch(spec);
    expect(node.groups(spec.containerId).length).toBeGreaterThan(0);
    await Promise.all([node.containerizer.destroy(spec.containerId), node.containerizer.destroy(spec.containerId)]);
    await node.containerizer.destroy(spec.containerId);
    await node.containerizer.destroy('never-existed');
    expect(leftOf(spec.containerId)).toEqual([]);
    expect(existsSync(spec.sandbox)).toBe(true);
  });

  test('with the pid namespace of the host, what the first process leaves behind is ended too', async () => {
    const spec = node.spec({ shell: 'setsid sleep 97531 & exit 0', namespaces: { pid: 'Host' } });
    await node.containerizer.launch(spec);
    await node.containerizer.wait(spec.containerId);
    await node.containerizer.destroy(spec.containerId);
    const sleeping = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes('97531'));
    expect(sleeping).toEqual([]);
    expect(leftOf(spec.containerId)).toEqual([]);
  });

  test.each([
    ['a program that does not exist', { command: ['/no/such/program'] }, {}, '/no/such/program'],
    ['a directory as program', { command: ['/usr'] }, {}, '/usr'],
    ['a working directory that does not exist', { command: ['true'], workingDir: '/no/such' }, {}, '/no/such'],
    [
      'a capability that does not exist',
      { command: ['true'], security: { capabilities: { effective: ['NO_SUCH'] } } },
      {},
      'NO_SUCH is no capability',
    ],
    [
      'a volume that does not exist',
      { command: ['true'] },
      { mounts: [{ source: '/no/such', target: '/data', readOnly: true }] },
      '/no/such',
    ],
    [
      'a limit of memory too small to start',
      { command: ['true'] },
      { resources: { requests: { cpus: 0.1, memBytes: 4096 }, limits: {} } },
      '',
    ],
  ])('%s fails the launch with a reason and leaves nothing', async (_what, container, part, message) => {
    const spec = node.spec(container as never, part as never);
    const launch = node.containerizer.launch(spec).then(() => node.containerizer.wait(spec.containerId));
    if (message) await expect(launch).rejects.toThrow(message);
    else await launch.catch(() => undefined);
    await node.containerizer.destroy(spec.containerId);
    expect(leftOf(spec.containerId)).toEqual([]);
  });

  test('a launch that the caller gives up leaves nothing, whether it began or not', async () => {
    const before = node.spec({ command: ['sleep', '100'] });
    await expect(node.containerizer.launch(before, AbortSignal.abort())).rejects.toMatchObject({ aborted: true });
    const during = node.spec({ command: ['sleep', '100'] });
    const abort = new AbortController();
    const launch = node.containerizer.launch(during, abort.signal);
    abort.abort();
    await expect(launch).rejects.toMatchObject({ name: 'ContainerLaunchFailed', aborted: true });
    expect([...leftOf(before.containerId), ...leftOf(during.containerId)]).toEqual([]);
  });

  test('an id is never used twice', async () => {
    const spec = node.spec({ command: ['sleep', '100'] });
    await node.containerizer.launch(spec);
    await expect(node.containerizer.launch(spec)).rejects.toThrow('exists already');
    await node.containerizer.signal(spec.containerId, 9);
    await node.containerizer.destroy(spec.containerId);
    await expect(node.containerizer.launch({ ...spec, containerId: '../evil' })).rejects.toThrow('is no container id');
  });

  test('secrets in the environment are on no disk, and in memory for root only', async () => {
    const spec = node.spec({ command: ['sleep', '100'] }, { env: { PATH: '/usr/bin:/bin', TOKEN: 'correct horse' } });
    await node.containerizer.launch(spec);
    const grep = spawnSync('grep', ['-rl', 'correct horse', node.dataDir, node.runtimeDir], { encoding: 'utf8' });
    const record = join(node.runtimeDir, 'launches', `${spec.containerId}.json`);
    const mode = statSync(record).mode & 0o777;
    await node.containerizer.destroy(spec.containerId);
    expect(grep.stdout).toBe(`${record}\n`);
    expect(mode).toBe(0o600);
  });

  test('twenty containers start, run and end at once', async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) => node.run({ shell: `echo ${index}; exit ${index}` })),
    );
    expect(results.map(({ termination }) => termination.exitCode)).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    );
    expect(results.map(({ stdout }) => stdout.trim())).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
  });

  describe('exec', () => {
    test('runs a command in the same namespaces, cgroups, identity and filters', async () => {
      const spec = node.spec(
        { shell: 'touch /tmp/mine; sleep 100', rlimits: [{ type: 'RLMT_NOFILE', soft: 99, hard: 99 }] },
        { env: { PATH: '/usr/bin:/bin', TOKEN: 'x' } },
      );
      await node.containerizer.launch(spec);
      const script = `pwd; id -u; ls /tmp; echo $TOKEN-$EXTRA; ulimit -n; grep -E '^(NoNewPrivs|Seccomp|CapEff):' /proc/self/status | tr -d '\\t'
        for n in mnt pid ipc uts cgroup; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/2/ns/$n) ] || echo "other $n"; done; cat > /dev/null; exit 5`;
      const session = await node.containerizer.exec({
        containerId: spec.containerId,
        argv: ['sh', '-c', script],
        env: { EXTRA: 'y' },
        tty: false,
        stdin: true,
      });
      const output = text(session.stdout);
      const pids = node
        .groups(spec.containerId)
        .map((group) => readFileSync(`${group}/cgroup.procs`, 'utf8').trim().split('\n').length);
      session.stdin!.end('input');
      expect(await session.exit).toEqual({ exitCode: 5 });
      await node.containerizer.destroy(spec.containerId);
      const lines = (await output).trim().split('\n');
      expect(lines).toEqual([
        spec.sandbox,
        String(nobody.uid),
        'mine',
        'x-y',
        '99',
        'CapEff:0000000000000000',
        'NoNewPrivs:1',
        'Seccomp:2',
      ]);
      for (const count of pids) expect(count).toBeGreaterThanOrEqual(3);
    });

    test('gives a terminal on request', async () => {
      const spec = node.spec({ command: ['sleep', '100'] }, { user: root });
      await node.containerizer.launch(spec);
      const session = await node.containerizer.exec({
        containerId: spec.containerId,
        argv: ['sh', '-c', 'tty; stty size'],
        tty: true,
        stdin: true,
        size: { columns: 100, rows: 30 },
      });
      const output = text(session.stdout);
      expect(await session.exit).toEqual({ exitCode: 0 });
      await node.containerizer.destroy(spec.containerId);
      expect((await output).replaceAll('\r', '')).toBe('/dev/pts/0\n30 100\n');
    });

    test('is refused for a container that does not run, and for a program that does not exist', async () => {
      const spec = node.spec({ command: ['sleep', '100'] });
      const request = { containerId: spec.containerId, argv: ['/no/such'], tty: false, stdin: false };
      await expect(node.containerizer.exec(request)).rejects.toThrow('is not running');
      await node.containerizer.launch(spec);
      await expect(node.containerizer.exec(request)).rejects.toThrow('/no/such');
      await node.containerizer.destroy(spec.containerId);
    });

    test('ends with its container', async () => {
      const spec = node.spec({ command: ['sleep', '100'] });
      await node.containerizer.launch(spec);
      const session = await node.containerizer.exec({
        containerId: spec.containerId,
        argv: ['sleep', '100'],
        tty: false,
        stdin: false,
      });
      await node.containerizer.destroy(spec.containerId);
      expect(await session.exit).toMatchObject({ signal: 9 });
    });
  });
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}
