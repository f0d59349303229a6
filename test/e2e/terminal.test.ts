/** exec, attach and run from a real terminal: sizes, keys, signals, detaching, and an agent that is exchanged. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cliCommand } from '../../cli/self.ts';
import { noTerminals, openTerminal, type Terminal } from '../cli/terminal.ts';
import { eventually, startSystem, type TestSystem } from './harness.ts';

const unavailable = process.getuid?.() === 0 ? noTerminals : 'needs root';
if (unavailable) process.stderr.write(`terminals of tasks: skipped: ${unavailable}\n`);

(unavailable ? describe.skip : describe)('a task in a terminal', () => {
  let system: TestSystem;
  const terminals: Terminal[] = [];
  beforeAll(async () => {
    system = await startSystem();
    for (const [name, container] of Object.entries({
      plain: { shell: 'sleep 1000' },
      shell: { command: ['/bin/sh'], tty: true, stdin: true },
    }))
      system.kubectl(['apply', '-f', '-'], JSON.stringify(taskOf(name, container)));
    for (const name of ['plain', 'shell']) await untilState(name, 'Running');
  }, 90_000);
  afterAll(async () => {
    for (const { child } of terminals) child.kill('SIGKILL');
    await system?.stop();
  }, 60_000);

  function taskOf(name: string, container: object): object {
    const spec = {
      containers: [{ name: 'main', resources: { requests: { cpus: '10m', mem: '16Mi' } }, ...container }],
    };
    return { apiVersion: 'tepui.dev/v1alpha1', kind: 'Task', metadata: { name, namespace: 'default' }, spec };
  }

  function untilState(name: string, state: string): Promise<boolean> {
    return eventually(`task ${name} to be ${state}`, () => stateOf(name) === state || undefined);
  }

  function stateOf(name: string): string {
    return system.kubectl(['get', 'task', name, '-o', 'jsonpath={.status.state}']).stdout;
  }

  function terminal(args: string[], size: { columns?: number; rows?: number } = {}): Terminal {
    const opened = openTerminal(cliCommand(args), { ...size, env: { KUBECONFIG: system.kubeconfig } });
    terminals.push(opened);
    return opened;
  }

  const shows = (terminal: Terminal, text: string | RegExp) =>
    eventually(`the terminal to show ${text}`, () => {
      const shown = terminal.shown();
      return (typeof text === 'string' ? shown.includes(text) : text.test(shown)) || undefined;
    });

  test('exec -it has the size of the terminal and follows it; ctrl-c reaches the command; the terminal is left as it was', async () => {
    const session = terminal(['exec', '-it', 'plain', '--', '/bin/sh'], { columns: 101, rows: 31 });
    await shows(session, '$ ');
    expect(await session.isRaw()).toBe(true);
    session.type('stty size\n');
    await shows(session, '31 101');
    session.resize(132, 43);
    await eventually('the new size', () => {
      session.type('stty size\n');
      return session.shown().includes('43 132') || undefined;
    });
    session.type('trap "echo caught" INT; sleep 1000\n');
    await shows(session, 'sleep 1000');
    await eventually('ctrl-c to be noticed', () => {
      session.type('\x03');
      return /\^C\s*caught/.test(session.shown()) || undefined;
    });
    session.type('stty -opost; printf "a\\nb\\n"; stty opost; exit 42\n');
    expect(await session.exit).toBe(42);
    // As the command wrote it: no carriage return of ours, with which full-screen programs would go wrong.
    expect(session.shown()).toContain('a\nb\n');
  }, 60_000);

  test('exec without a terminal passes standard input, its end, and signals', async () => {
    expect(system.tepui(['exec', '-i', 'plain', '--', 'wc', '-c'], 'x'.repeat(100_000))).toMatchObject({
      stdout: '100000\n',
      status: 0,
    });
    const [command, ...args] = cliCommand([
      ...[
        'exec',
        'plain',
        '--',
        'sh',
        '-c',
        'trap "echo asked; exit 7" TERM; echo ready; while :; do sleep 0.02; done',
      ],
    ]);
    const child = spawn(command!, args, { env: { ...process.env, KUBECONFIG: system.kubeconfig } });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text === 'ready\n') child.kill('SIGTERM');
    });
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(7);
    expect(text).toBe('ready\nasked\n');
  }, 60_000);

  test('attach joins the terminal of the task, two at once, and its keys detach', async () => {
    const first = terminal(['attach', 'shell'], { columns: 90, rows: 20 });
    await shows(first, '$ ');
    first.type('stty size\n');
    await shows(first, '20 90');
    const second = terminal(['attach', 'shell', '--detach-keys', 'ctrl-x']);
    await shows(second, '20 90');
    second.type('echo to $((20+22))\n');
    await Promise.all([shows(first, 'to 42'), shows(second, 'to 42')]);
    first.type('\x10\x11');
    expect(await first.exit).toBe(0);
    expect(first.shown()).toContain('tepui: detached; task shell goes on');
    second.type('\x18');
    expect(await second.exit).toBe(0);
    expect(stateOf('shell')).toBe('Running');
  }, 60_000);

  test('the terminal is as it was when a session has ended, also by a signal', async () => {
    for (const end of ['true', 'kill -9 $$']) {
      const command = cliCommand(['exec', '-it', 'plain', '--', 'sh', '-c', end]);
      const session = openTerminal(['sh', '-c', '"$@"; stty -a', 'sh', ...command], {
        env: { KUBECONFIG: system.kubeconfig },
      });
      terminals.push(session);
      expect(await session.exit).toBe(0);
      for (const setting of ['icanon', 'echo', 'opost', 'isig'])
        expect(session.shown()).toMatch(new RegExp(`[^-]${setting}\\b`));
    }
  }, 60_000);

  test('run and logs -f go on over a restart of server and agent: nothing is lost or repeated, and the exit code is told', async () => {
    const follow = (words: string[]) => {
      const [command, ...args] = cliCommand(words);
      const child = spawn(command!, args, { env: { ...process.env, KUBECONFIG: system.kubeconfig } });
      const followed = {
        text: '',
        complaints: '',
        exit: new Promise((resolve) => child.once('close', resolve)),
      };
      child.stdout.on('data', (chunk: Buffer) => {
        followed.text += chunk.toString();
      });
      child.stderr.on('data', (chunk: Buffer) => {
        followed.complaints += chunk.toString();
      });
      return followed;
    };
    const script = 'i=0; while [ $i -lt 80 ]; do i=$((i+1)); echo $i; sleep 0.1; done; exit 6';
    const run = follow(['run', '--name', 'counted', '--', 'sh', '-c', script]);
    await eventually('the first lines', () => run.text.includes('3\n') || undefined);
    const logs = follow(['logs', '-f', '--tail', '1', 'counted']);
    await eventually('the first line', () => logs.text.includes('\n') || undefined);
    await system.kill();
    await system.restart();
    const all = Array.from({ length: 80 }, (_, index) => `${index + 1}\n`);
    expect([await run.exit, run.text, run.complaints]).toEqual([6, all.join(''), '']);
    expect([await logs.exit, logs.complaints]).toEqual([0, '']);
    const first = Number(logs.text.split('\n')[0]);
    expect(logs.text).toBe(all.slice(first - 1).join(''));
  }, 60_000);

  test('attach goes on over a restart of the agent, and the task notices nothing', async () => {
    const session = terminal(['attach', 'shell']);
    await shows(session, '$ ');
    session.type('memory=kept\n');
    await shows(session, 'memory=kept');
    await system.kill();
    await shows(session, 'the agent went away');
    await system.restart();
    await eventually('the session to be back', () => {
      session.type('echo is $memory\n');
      return session.shown().includes('is kept') || undefined;
    });
    session.type('exit 3\n');
    expect(await session.exit).toBe(3);
    await untilState('shell', 'Failed');
  }, 90_000);

  test('attach to a task without terminal and input says what to do', () => {
    const { stderr, status } = system.tepui(['attach', 'plain']);
    expect(stderr).toContain('`tepui logs -f plain`');
    expect(status).toBe(1);
    expect(system.tepui(['exec', '-it', 'plain', '--', 'sh'], '').stderr).toContain('standard input is not a terminal');
    expect(system.tepui(['attach', 'nosuch']).status).toBe(5);
  });

  test('run -it is a shell of its own, from the first prompt on, and leaves nothing', async () => {
    const session = terminal(['run', '-it', '--name', 'own', '--', '/bin/sh'], { columns: 70, rows: 15 });
    await shows(session, '$ ');
    session.type('stty size; exit 4\n');
    expect(await session.exit).toBe(4);
    expect(session.shown()).toContain('15 70');
    expect(system.kubectl(['get', 'task', 'own']).status).not.toBe(0);
    const quick = terminal(['run', '-t', '--', 'echo', 'quick']);
    expect(await quick.exit).toBe(0);
    expect(quick.shown()).toContain('quick');
  }, 60_000);

  test('run -it can be left, and come back to', async () => {
    const session = terminal(['run', '-it', '--name', 'left', '--', '/bin/sh']);
    await shows(session, '$ ');
    session.type('\x10\x11');
    expect(await session.exit).toBe(0);
    expect(session.shown()).toContain('`tepui attach left` comes back to it');
    const back = terminal(['attach', 'left']);
    await shows(back, '$ ');
    back.type('exit\n');
    expect(await back.exit).toBe(0);
  }, 60_000);

  test('run -i passes a file through a command', () => {
    const input = Array.from({ length: 50_000 }, (_, line) => `line ${line}\n`).join('');
    const { stdout, status } = system.tepui(['run', '-i', '--', 'tac'], input);
    expect(status).toBe(0);
    expect(stdout.split('\n').filter(Boolean).length).toBe(50_000);
    expect(stdout).toContain('line 0\n');
  }, 60_000);
});
