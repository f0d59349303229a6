/** Terminals and open standard inputs of containers, over every containerizer that has them. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ExecSession, LaunchSpec } from '../../runtime/containerizers/containerizer.ts';
import { eventually, type TestNode } from '../runtime/containerizers/harness.ts';
import { stopTargets, targets } from './targets.ts';

afterAll(stopTargets);

describe.each(targets.filter(({ hasNoStreams }) => !hasNoStreams))('the streams of a container: $name', (target) => {
  const testIf = target.problem ? test.skip : test;
  let node: TestNode;
  beforeAll(async () => {
    node = await target.start();
  });
  afterAll(() => node?.close());

  async function launch(container: Parameters<TestNode['spec']>[0]): Promise<LaunchSpec> {
    const spec = node.spec(container);
    await node.containerizer.launch(spec);
    return spec;
  }

  async function attach({ containerId }: LaunchSpec, history = false): Promise<ExecSession & { seen(): string }> {
    const session = await node.containerizer.attach!({ containerId, history });
    let text = '';
    session.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    return Object.assign(session, { seen: () => text });
  }

  testIf(
    'a terminal is all three streams, has the size of a terminal, and may be opened again by its user',
    async () => {
      const { termination, stdout, stderr } = await node.run({
        shell:
          'test -t 0 && test -t 1 && test -t 2 && echo all; stat -c %U "$(tty)"; echo again >/dev/tty; echo $TERM; until [ "$(stty size)" = "24 80" ]; do sleep 0.02; done; stty size',
        tty: true,
      });
      expect(termination.exitCode).toBe(0);
      expect(stdout.split('\r\n')).toEqual(['all', 'nobody', 'again', 'xterm', '24 80', '']);
      expect(stderr).toBe('');
    },
  );

  testIf('whoever attaches types into the terminal, changes its size, and is told the exit code', async () => {
    const spec = await launch({
      shell: 'echo up; read line; echo "got $line"; while stty size; do sleep 0.1; done',
      tty: true,
      stdin: true,
    });
    await eventually(() => node.output(spec).includes('up'), 'start');
    const session = await attach(spec, true);
    session.stdin!.write('hello\r');
    await eventually(() => session.seen().includes('got hello\r\n'), 'the answer');
    session.resize({ columns: 101, rows: 31 });
    if (!target.keepsTerminalSize) await eventually(() => session.seen().includes('31 101\r\n'), 'the new size');
    session.stdin!.write('\x03');
    expect(await session.exit).toEqual(target.tellsSignalsAsCodes ? { exitCode: 130 } : { signal: 2 });
    expect(node.output(spec)).toContain('got hello\r\n');
    await node.containerizer.destroy(spec.containerId);
  });

  testIf('a shell in a terminal goes on while the agent is exchanged', async () => {
    const spec = await launch({ command: ['/bin/sh'], tty: true, stdin: true });
    const before = await attach(spec);
    before.stdin!.write('answer=42\n');
    await eventually(() => before.seen().includes('$ ') && before.seen().includes('answer'), 'the echo');
    before.detach!();
    await expect(before.exit).rejects.toThrow('detached; the container goes on');
    await node.restart();
    const [taken] = await node.containerizer.recover([spec.containerId]);
    expect(taken).toMatchObject({ running: true });
    const after = await attach(spec, true);
    await eventually(() => after.seen().includes('answer=42'), 'what the terminal showed before');
    after.stdin!.write('exit $answer\n');
    expect(await after.exit).toEqual({ exitCode: 42 });
    await node.containerizer.destroy(spec.containerId);
  });

  testIf('an open standard input is read until it is closed', async () => {
    const spec = await launch({ shell: 'cat; echo over >&2', stdin: true });
    const session = await attach(spec);
    session.stdin!.write('first\n');
    await eventually(() => session.seen() === 'first\n', 'the first line');
    session.closeStdin!();
    expect(await session.exit).toEqual({ exitCode: 0 });
    expect(node.output(spec, 'stderr')).toBe('over\n');
    await node.containerizer.destroy(spec.containerId);
  });
});
