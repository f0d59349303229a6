/** The launcher's role `rootless`: root of a user namespace, as a process of the same pid. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildLauncher } from '../../../runtime/launcher/build.ts';

const { uid, gid } = { uid: process.getuid!(), gid: process.getgid!() };
const canMakeNamespaces = spawnSync('unshare', ['--user', 'true']).status === 0;
if (!canMakeNamespaces) process.stderr.write('rootless: skipped: no user namespaces can be made here\n');

let binary: string;
let directory: string;
beforeAll(async () => {
  binary = await buildLauncher();
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'tepui-rootless-')));
  for (const name of ['group', 'place', 'here']) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'group/marker'), '');
}, 120_000);
afterAll(() => rmSync(directory, { recursive: true }));

const asNew = (...program: string[]) => [
  ...['rootless', 'new', join(directory, 'group'), join(directory, 'place'), `0:${uid}:1`, `0:${gid}:1`, '', ''],
  ...program,
];
const run = (args: string[], cwd = directory) => spawnSync(binary, args, { encoding: 'utf8', cwd });

test.each([
  [['rootless']],
  [['rootless', 'new', 'relative', '/place', '0:1:1', '0:1:1', '', '', '/bin/true']],
  [['rootless', 'new', '/group', '/place', '0:1', '0:1:1', '', '', '/bin/true']],
  [['rootless', 'new', '/group', '/place', '0:1:99999999999', '0:1:1', '', '', '/bin/true']],
  [['rootless', 'new', '/group', '/place', '0:1:1', '0:1:1', 'newuidmap', 'newgidmap', '/bin/true']],
  [['rootless', 'new', '/group', '/place', '0:1:1', '0:1:1', '/bin/newuidmap', '', '/bin/true']],
  [['rootless', 'join', '1:1', 'relative']],
])('%j is a wrong call, and nothing is done', (args) => {
  expect(run(args)).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('usage') });
});

test('processes that have ended, or are others than was said, are not joined', () => {
  for (const which of [`${process.pid}:1`, '999999999:5', 'x', `${process.pid}:1,:`])
    expect(run(['rootless', 'join', which, '/bin/true'])).toMatchObject({
      status: 6,
      stderr: expect.stringContaining('cannot enter the namespaces of the tasks that run'),
    });
});

(canMakeNamespaces ? describe : describe.skip)('in a user namespace', () => {
  test('a program has the ids, the working directory and the exit code, the cgroup at its place, and mounts of its own', () => {
    const script = 'cat /proc/self/uid_map /proc/self/setgroups; pwd; ls "$1"; mount -t tmpfs x "$1/.." && exit 9';
    const here = join(directory, 'here');
    const { status, stdout } = run(asNew('/bin/sh', '-c', script, 'sh', join(directory, 'place')), here);
    expect(stdout.split('\n').map((line) => line.trim().replaceAll(/ +/g, ' '))).toEqual([
      `0 ${uid} 1`,
      'deny',
      here,
      'marker',
      '',
    ]);
    expect(status).toBe(9);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(directory);
  });

  test('a later program joins those of a process that lives, in its own working directory', async () => {
    const first = spawn(binary, asNew('/bin/sleep', '100'), { stdio: 'ignore' });
    try {
      await becomes(first, 'sleep');
      const stat = readFileSync(`/proc/${first.pid}/stat`, 'utf8');
      const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      const here = join(directory, 'here');
      const script = 'pwd; ls "$1"; readlink /proc/self/ns/user /proc/$2/ns/user | uniq | wc -l';
      const which = `999999999:1,${first.pid}:${start}`;
      const args = ['rootless', 'join', which, '/bin/sh', '-c', script, 'sh', join(directory, 'place'), `${first.pid}`];
      expect(run(args, here)).toMatchObject({ status: 0, stdout: `${here}\nmarker\n1\n` });
    } finally {
      first.kill('SIGKILL');
    }
  });
});

/** The process stays the same one, and gets the program's name. */
async function becomes({ pid }: ChildProcess, name: string): Promise<void> {
  while (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== name) await new Promise((done) => setTimeout(done, 10));
}
