/** Containers with a terminal or an open standard input, under the whole of the isolation, and across restarts of the agent. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ExecSession, LaunchSpec } from '../../../runtime/containerizers/containerizer.ts';
import { eventually } from '../launcher/harness.ts';
import { startNode, type TestNode, unavailable } from './harness.ts';

const suite = unavailable ? describe.skip : describe;
if (unavailable) process.stderr.write(`terminals of containers: skipped: ${unavailable}\n`);

suite('terminals of containers', () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode();
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

  test('an ordinary user owns the terminal of the container, may open it again, and has TERM set', async () => {
    const { termination, stdout, stderr } = await node.run({
      shell:
        'tty; stat -c "%U %a" $(tty); echo again >/dev/tty; echo $TERM; test -t 0 && test -t 1 && test -t 2 && echo all',
      tty: true,
    });
    expect(termination.exitCode).toBe(0);
    expect(stdout.split('\r\n')).toEqual(['/dev/pts/0', 'nobody 620', 'again', 'xterm', 'all', '']);
    expect(stderr).toBe('');
  });

  test('a container without either has an empty input, and says so to those who want to attach', async () => {
    const spec = await launch({ shell: 'cat; echo over; sleep 60' });
    await eventually(() => node.output(spec).includes('over'), 'the end of the input');
    await expect(node.containerizer.attach!({ containerId: spec.containerId })).rejects.toThrow('neither a terminal');
    await node.containerizer.destroy(spec.containerId);
    await expect(node.containerizer.attach!({ containerId: spec.containerId })).rejects.toThrow('is not running');
  });

  test('an attached session is told of a kill, and nothing of the terminal is left', async () => {
    const spec = await launch({ shell: 'cat', stdin: true });
    const session = await attach(spec);
    session.stdin!.write('x');
    await eventually(() => session.seen() === 'x', 'the echo');
    await node.containerizer.signal(spec.containerId, 9);
    expect(await session.exit).toEqual({ signal: 9 });
    await node.containerizer.destroy(spec.containerId);
    await eventually(() => readdirSync(`${node.runtimeDir}/attach`).length === 0, 'the removal of the socket');
  });

  test('a session that is left behind is told so, and not that the container ended well', async () => {
    const spec = await launch({ shell: 'read go; head -c 30000000 /dev/zero; exit 3', stdin: true });
    const session = await node.containerizer.attach!({ containerId: spec.containerId });
    session.stdin!.write('go\n');
    expect(await node.containerizer.wait(spec.containerId)).toMatchObject({ exitCode: 3 });
    await expect(session.exit).rejects.toThrow('read too slowly; the log of the container has everything');
    await node.containerizer.destroy(spec.containerId);
  });

  test('the supervisor of a terminal with two sessions stays below 1 MiB of memory of its own', async () => {
    const spec = await launch({ shell: 'seq 100000; cat', tty: true, stdin: true });
    const sessions = [await attach(spec, true), await attach(spec)];
    sessions[0]!.stdin!.write('seen\n');
    await eventually(() => sessions[1]!.seen().includes('seen'), 'the echo');
    const state = readFileSync(`${node.runtimeDir}/containers/${spec.containerId}`, 'utf8');
    const rollup = readFileSync(`/proc/${state.split(' ')[0]}/smaps_rollup`, 'utf8');
    const pss = Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1]);
    expect(pss).toBeLessThan(1024);
    process.stderr.write(`supervisor with a terminal and two sessions: ${pss} KiB PSS\n`);
    await node.containerizer.destroy(spec.containerId);
  });
});
