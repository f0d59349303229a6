import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { completionScript } from '../../cli/commands/completion.ts';
import { explainTask } from '../../cli/commands/why.ts';
import { formatBytes } from '../../cli/format.ts';
import { missingControllers } from '../../cli/machine.ts';
import { createProgram } from '../../cli/program.ts';
import { cliCommand } from '../../cli/self.ts';

function tepui(args: string[], env: Record<string, string> = {}) {
  const [command, ...rest] = cliCommand(args);
  return spawnSync(command as string, rest, {
    encoding: 'utf8',
    env: { ...process.env, KUBECONFIG: '', HOME: '/nonexistent', ...env },
  });
}

describe('every command', () => {
  const names = createProgram().commands.map((command) => command.name());

  test.each(names)('%s has a description and a help text', (name) => {
    const { stdout, status } = tepui([name, '--help']);
    expect(stdout).toMatch(new RegExp(`^Usage: tepui ${name}`));
    expect(status).toBe(0);
  });

  test.each(names)('%s is in the completion of each shell', (name) => {
    for (const shell of ['bash', 'zsh', 'fish']) expect(completionScript(createProgram(), shell)).toContain(name);
  });
});

test('the bash completion script is valid and completes commands and options', () => {
  const script = `${completionScript(createProgram(), 'bash')}\nCOMP_WORDS=(tepui lo); COMP_CWORD=1; _tepui; echo "$COMPREPLY"; COMP_WORDS=(tepui logs --fo); COMP_CWORD=2; _tepui; echo "$COMPREPLY"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout).toBe('logs\n--follow\n');
});

describe('exit codes', () => {
  test('an unknown command ends with 2', () => expect(tepui(['nonsense']).status).toBe(2));
  test('no kubeconfig ends with 4 and says what to do', () => {
    const { stderr, status } = tepui(['why', 'x', '--data-dir', '/nonexistent']);
    expect(stderr).toMatch(/^tepui: --data-dir: \/nonexistent\/kubeconfig does not exist\n$/);
    expect(status).toBe(4);
  });
  test('an API server that does not answer ends with 4', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tepui-nobody-'));
    try {
      const cluster = { name: 'c', cluster: { server: 'https://127.0.0.1:1' } };
      const context = { name: 'c', context: { cluster: 'c', user: 'u' } };
      const user = { name: 'u', user: { token: 't' } };
      const config = { clusters: [cluster], contexts: [context], users: [user], 'current-context': 'c' };
      writeFileSync(join(directory, 'kubeconfig'), JSON.stringify(config));
      const { stderr, status } = tepui(['why', 'x', '--data-dir', directory]);
      expect(stderr).toMatch(/^tepui: the API server cannot be reached: GET .*ECONNREFUSED 127\.0\.0\.1:1\n$/);
      expect(status).toBe(4);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
  test('validate ends with 3 and names document, field and rule', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tepui-validate-'));
    try {
      writeFileSync(
        join(directory, 'bad.yaml'),
        'apiVersion: tepui.dev/v1alpha1\nkind: Task\nmetadata: {name: bad}\nspec: {containers: [{name: main, comand: [x]}]}\n',
      );
      const { stdout, status } = tepui(['validate', '-f', directory]);
      expect(stdout).toMatch(/^bad\.yaml: task\/bad: spec\.containers\[0\]\.comand: .*unknown field/m);
      expect(status).toBe(3);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
  test('validate says what is not there', () => {
    expect(tepui(['validate', '-f', '/no/where'])).toMatchObject({
      stderr: 'tepui: -f: /no/where does not exist\n',
      status: 2,
    });
  });

  test('validate reads the metadata too', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tepui-validate-'));
    try {
      const metadata = '{name: odd, namespce: a, labels: {"a b": c}, finalizers: [x y]}';
      writeFileSync(
        join(directory, 'odd.yaml'),
        `apiVersion: tepui.dev/v1alpha1\nkind: Task\nmetadata: ${metadata}\nspec: {containers: [{name: main, command: [x]}]}\n`,
      );
      const { stdout, status } = tepui(['validate', '-f', directory]);
      expect(stdout.match(/metadata\.\w+: (unknown field|Invalid value)/g)).toEqual([
        'metadata.namespce: unknown field',
        'metadata.labels: Invalid value',
        'metadata.finalizers: Invalid value',
      ]);
      expect(status).toBe(3);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
  test('validate accepts every example', () => {
    const { stdout, status } = tepui(['validate', '-f', new URL('../../manifests/examples', import.meta.url).pathname]);
    expect(stdout).not.toMatch(/: spec/);
    expect(stdout).toContain('is valid');
    expect(status).toBe(0);
  });
});

describe('why', () => {
  test('tells each reason with its count of agents', () => {
    const text = explainTask({
      metadata: { name: 'a', namespace: 'n' },
      spec: { containers: [{ name: 'main' }] },
      status: {
        state: 'Staging',
        reason: 'Unscheduled',
        placement: { totalAgents: 3, reasons: [{ reason: 'InsufficientMem', agents: 2, message: 'needs 4Gi' }] },
      },
    });
    expect(text).toBe(
      'n/a: Staging (Unscheduled)\n  not placed: 3 agents were looked at\n        2  InsufficientMem: needs 4Gi\n',
    );
  });

  test('says of each container of a group how it is, and what of a changed spec is not applied', () => {
    const condition = {
      status: 'False' as const,
      reason: 'FieldsNotApplied',
      lastTransitionTime: '2030-01-01T00:00:00Z',
    };
    const text = explainTask({
      metadata: { name: 'a', namespace: 'n' },
      spec: { containers: [{ name: 'main' }], binding: { agentName: 'x' } },
      status: {
        state: 'Running',
        conditions: [{ ...condition, type: 'SpecApplied', message: 'spec.user' }],
        containers: [
          { name: 'init', init: true, state: 'Finished' },
          { name: 'main', state: 'Restarting', reason: 'ExitCode', restarts: 2, message: 'exited with code 1' },
          { name: 'side', state: 'Pulling', progress: { item: 'img', doneBytes: 2 ** 20, totalBytes: 2 ** 21 } },
        ],
      },
    });
    expect(text).toBe(
      [
        'n/a: Running',
        '  on agent x',
        '  containers:',
        '    init (init): Finished',
        '    main: Restarting (ExitCode) restarted 2 times exited with code 1',
        '    side: Pulling img: 1.0 of 2.0 MiB',
        '  spec is not applied: spec.user',
        '',
      ].join('\n'),
    );
  });
});

describe('missingControllers', () => {
  const v1 = (controllers: string) => `30 24 0:26 / /sys/fs/cgroup/${controllers} rw - cgroup cgroup rw,${controllers}`;
  test('finds controllers in v1 hierarchies', () =>
    expect(missingControllers([v1('cpu,cpuacct'), v1('memory')].join('\n'), '')).toEqual(['pids']));
  test('finds controllers of v2', () => expect(missingControllers('', 'cpuset cpu io memory pids\n')).toEqual([]));
  test('finds none where there are none', () => expect(missingControllers('', '')).toEqual(['cpu', 'memory', 'pids']));
});

test('formatBytes uses binary units', () => {
  expect([0, 1023, 1024, 33_554_432, 1_572_864].map(formatBytes)).toEqual([
    '0 B',
    '1023 B',
    '1 KiB',
    '32 MiB',
    '1.5 MiB',
  ]);
});
