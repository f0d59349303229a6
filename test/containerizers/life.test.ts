import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ContainerLaunchFailed } from '../../runtime/containerizers/container-launch-failed.ts';
import type { Termination } from '../../runtime/containerizers/containerizer.ts';
import { eventually, nobody, root, type TestNode } from '../runtime/containerizers/harness.ts';
import { SLOW } from '../setup/slow.ts';
import { stopTargets, targets } from './targets.ts';

afterAll(stopTargets);

describe.each(targets)('the life of a container: $name', (target) => {
  const testIf = target.problem ? test.skip : test;
  let node: TestNode;
  beforeAll(async () => {
    node = await target.start();
  });
  afterAll(() => node?.close());

  const endedBy = (signal: number): Partial<Termination> =>
    target.tellsSignalsAsCodes ? { exitCode: 128 + signal } : { signal };

  testIf('output goes to files of its user in the sandbox, the exit code to the caller', async () => {
    const { termination, stdout, stderr } = await node.run({ command: ['sh', '-c', 'echo out; echo err >&2; exit 7'] });
    expect([stdout, stderr]).toEqual(['out\n', 'err\n']);
    expect(termination).toMatchObject({ exitCode: 7, oomKilled: false });
    expect(Math.abs(termination.finishedAt.getTime() - Date.now())).toBeLessThan(10_000 * SLOW);
  });

  testIf('a shell line gets its arguments, a command is found on PATH and gets its own as they are', async () => {
    expect((await node.run({ shell: 'echo "$1-$2"', args: ['a', 'b'] })).stdout).toBe('a-b\n');
    expect((await node.run({ command: ['echo'], args: ['$HOME', '*'] })).stdout).toBe('$HOME *\n');
  });

  testIf('the environment is what the caller gave, and nothing of the agent', async () => {
    const { stdout } = await node.run(
      { command: ['env'] },
      { env: { PATH: '/usr/bin:/bin', GREETING: 'hello "world"\n$x' } },
    );
    expect(stdout).toContain('GREETING=hello "world"\n$x\n');
    const names = stdout.match(/^[A-Z_]+(?==)/gm);
    // Docker adds the host name.
    expect(names?.filter((name) => !['PATH', 'GREETING', 'HOME', 'PWD', 'HOSTNAME'].includes(name))).toEqual([]);
  });

  testIf('SIGTERM reaches every process, and ends a program without a handler', async () => {
    const spec = node.spec({
      shell:
        "trap 'echo caught; wait; exit 0' TERM; sh -c 'trap \"echo child; exit 0\" TERM; echo ready; while :; do sleep 0.05; done' & wait",
    });
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('ready'), 'start');
    await node.containerizer.signal(spec.containerId, 15);
    expect(await node.containerizer.wait(spec.containerId)).toMatchObject({ exitCode: 0 });
    expect(new Set(node.output(spec).trim().split('\n'))).toEqual(new Set(['caught', 'child', 'ready']));
    await node.containerizer.destroy(spec.containerId);

    const simple = node.spec({ shell: 'echo ready; exec sleep 100' });
    await node.containerizer.launch(simple);
    await eventually(() => node.output(simple).includes('ready'), 'start');
    await node.containerizer.signal(simple.containerId, 15);
    expect(await node.containerizer.wait(simple.containerId)).toMatchObject(endedBy(15));
    await node.containerizer.destroy(simple.containerId);
  });

  testIf('SIGKILL ends what ignores SIGTERM, with all its children', async () => {
    const spec = node.spec({
      shell: "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo ready; while :; do sleep 1; done",
    });
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('ready'), 'start');
    await node.containerizer.signal(spec.containerId, 15);
    await node.containerizer.signal(spec.containerId, 9);
    expect(await node.containerizer.wait(spec.containerId)).toMatchObject({ ...endedBy(9), oomKilled: false });
    await node.containerizer.destroy(spec.containerId);
    expect(node.groups(spec.containerId)).toEqual([]);
  });

  testIf(
    'destroy ends and removes it, can be repeated and asked for twice at once, and accepts ids it never saw',
    async () => {
      const spec = node.spec({ shell: "trap '' TERM; sleep 100 & sleep 100" });
      await node.containerizer.launch(spec);
      if (!target.runsImagesOnly) expect(node.groups(spec.containerId).length).toBeGreaterThan(0);
      await Promise.all([node.containerizer.destroy(spec.containerId), node.containerizer.destroy(spec.containerId)]);
      await node.containerizer.destroy(spec.containerId);
      await node.containerizer.destroy('never-existed');
      expect(node.groups(spec.containerId)).toEqual([]);
      expect(existsSync(spec.sandbox)).toBe(true);
    },
  );

  testIf('a command that does not exist is told, and leaves nothing', async () => {
    const spec = node.spec({ command: ['/no/such/program'] });
    if (target.missingCommandIsAnExit) {
      await node.containerizer.launch(spec);
      expect(await node.containerizer.wait(spec.containerId)).toMatchObject({ exitCode: 127 });
      expect(node.output(spec, 'stderr')).toMatch(/\/no\/such\/program.*No such file or directory/);
      await node.containerizer.destroy(spec.containerId);
    } else {
      await expect(node.containerizer.launch(spec)).rejects.toThrow(/\/no\/such\/program/);
    }
    expect(node.groups(spec.containerId)).toEqual([]);
  });

  testIf('a launch that cannot be made is refused with the reason, and leaves nothing', async () => {
    const spec = node.spec(
      { command: ['true'] },
      { mounts: [{ source: '/no/such/place', target: 'data', readOnly: false }] },
    );
    await expect(node.containerizer.launch(spec)).rejects.toThrow(ContainerLaunchFailed);
    await expect(node.containerizer.wait(spec.containerId)).resolves.toMatchObject({ lost: true });
    expect(node.groups(spec.containerId)).toEqual([]);
  });

  testIf('a launch that is aborted leaves nothing', async () => {
    const spec = node.spec({ command: ['sleep', '100'] });
    const abort = new AbortController();
    const launch = node.containerizer.launch(spec, abort.signal);
    abort.abort();
    await expect(launch).rejects.toThrow(ContainerLaunchFailed);
    expect(node.groups(spec.containerId)).toEqual([]);
  });

  testIf('log files are rotated at their size', async () => {
    const { stdout } = await node.run(
      {
        shell: 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done',
        logs: { maxSize: '8Ki', maxFiles: 1 },
      },
      {},
    );
    expect(stdout.length).toBeLessThanOrEqual(8 << 10);
    expect(stdout.endsWith('line 2999\n')).toBe(true);
  });

  testIf(
    'another agent process takes a running container back, and learns the end of one that ended meanwhile',
    async () => {
      const running = node.spec({ shell: 'echo up; exec sleep 1000' });
      const ending = node.spec({ shell: 'echo up; sleep 0.3; exit 9' });
      await node.containerizer.launch(running);
      await node.containerizer.launch(ending);
      await eventually(() => node.output(running).includes('up') && node.output(ending).includes('up'), 'start');
      await node.containerizer.close();
      await new Promise((resolve) => setTimeout(resolve, 600));
      await node.restart();
      const found = await node.containerizer.recover([running.containerId, ending.containerId]);
      expect(new Map(found.map(({ containerId, running }) => [containerId, running]))).toEqual(
        new Map([
          [running.containerId, true],
          [ending.containerId, false],
        ]),
      );
      expect(await node.containerizer.wait(ending.containerId)).toMatchObject({ exitCode: 9 });
      await node.containerizer.signal(running.containerId, 15);
      expect(await node.containerizer.wait(running.containerId)).toMatchObject(endedBy(15));
      for (const { containerId } of [running, ending]) {
        await node.containerizer.destroy(containerId);
        expect(node.groups(containerId)).toEqual([]);
      }
    },
  );

  testIf('another agent process removes what it does not expect', async () => {
    const spec = node.spec({ command: ['sleep', '1000'] });
    await node.containerizer.launch(spec);
    await node.restart();
    expect(await node.containerizer.recover([])).toEqual([]);
    expect(node.groups(spec.containerId)).toEqual([]);
    expect(await node.containerizer.wait(spec.containerId)).toMatchObject({ lost: true });
  });

  testIf('a directory of the host is mounted, writable or not', async () => {
    const source = mkdtempSync('/var/lib/tepui-test-volume-');
    try {
      writeFileSync(join(source, 'given'), 'given\n');
      const mounts = [
        { source, target: '/data', readOnly: false },
        { source, target: 'same', readOnly: true },
      ];
      const { stdout } = await node.run(
        { shell: 'cat same/given; echo new > /data/made; touch same/refused 2>/dev/null && echo BAD; cat same/made' },
        { user: root, mounts },
      );
      expect(stdout).toBe('given\nnew\n');
      expect(readdirSync(source).sort()).toEqual(['given', 'made']);
    } finally {
      rmSync(source, { recursive: true });
    }
  });

  testIf('a further command runs in the same container, with its streams and its exit code', async () => {
    const spec = node.spec({ shell: 'echo up; exec sleep 1000' }, { env: { PATH: '/usr/bin:/bin', SAME: 'yes' } });
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('up'), 'start');
    const session = await node.containerizer.exec({
      containerId: spec.containerId,
      argv: ['sh', '-c', 'cat; echo "$SAME $(id -u) $(cat /proc/[0-9]*/comm | grep -cx sleep)"; echo oops >&2; exit 3'],
      tty: false,
      stdin: true,
    });
    const read = (stream: NodeJS.ReadableStream | undefined) => streamText(stream);
    const output = Promise.all([read(session.stdout), read(session.stderr)]);
    session.stdin!.end('from outside\n');
    expect(await session.exit).toMatchObject({ exitCode: 3 });
    expect(await output).toEqual([`from outside\nyes ${target.runsImagesOnly ? 0 : nobody.uid} 1\n`, 'oops\n']);
    await node.containerizer.destroy(spec.containerId);
  });

  testIf('a port on its own loopback can be dialled', async () => {
    const server =
      "import socket; s = socket.create_server(('127.0.0.1', 8080)); print('up', flush=True)\nwhile True: c, _ = s.accept(); c.sendall(b'hello'); c.close()";
    const spec = node.spec(
      target.runsImagesOnly
        ? { command: ['nc', '-ll', '-p', '8080', '-e', 'echo', '-n', 'hello'] }
        : { command: ['python3', '-c', server] },
      { task: { network: { mode: 'None', networks: [] } as never } },
    );
    await node.containerizer.launch(spec);
    let socket: Duplex | undefined;
    await eventually(async () => {
      socket = await node.containerizer.dial!(spec.containerId, 8080).catch(() => undefined);
      return socket !== undefined;
    }, 'a connection');
    expect(await streamText(socket)).toBe('hello');
    socket?.destroy();
    await expect(node.containerizer.dial!(spec.containerId, 8081)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await node.containerizer.destroy(spec.containerId);
  });

  testIf('a further command has a terminal of the size asked for', async () => {
    const spec = node.spec({ shell: 'echo up; exec sleep 1000' });
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('up'), 'start');
    const session = await node.containerizer.exec({
      containerId: spec.containerId,
      // runc and Docker set the size a moment after the start.
      argv: [
        'sh',
        '-c',
        'test -t 0 && test -t 1 || exit 1; until s=$(stty size 2>/dev/null) && [ -n "$s" ] && [ "$s" != "0 0" ]; do sleep 0.02; done; echo "$s"',
      ],
      tty: true,
      stdin: true,
      size: { columns: 101, rows: 31 },
    });
    const output = streamText(session.stdout);
    expect(await session.exit).toMatchObject({ exitCode: 0 });
    expect((await output).trim()).toBe('31 101');
    await node.containerizer.destroy(spec.containerId);
  });
});

async function streamText(stream: NodeJS.ReadableStream | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream ?? []) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString();
}
