/** What a tool sees and may do that works on files of unknown origin. */
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type ConfinedTool, createToolRunner, succeeded, type ToolRunner } from '../../../runtime/fetcher/confined.ts';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { mountsBelow } from '../launcher/harness.ts';
import { unavailable, user } from './harness.ts';

// The first test of a machine compiles the launcher, which takes its time on a busy one.
jest.setTimeout(120_000);

const when = unavailable ? test.skip : test;
let tools: ToolRunner;
let directory: string;
let sandbox: string;
beforeAll(async () => {
  if (unavailable) return console.log(`skipped: ${unavailable}`);
  directory = mkdtempSync('/var/lib/tepui-test-tools-');
  sandbox = join(directory, 'sandbox');
  mkdirSync(join(directory, 'root'));
  mkdirSync(sandbox);
  chownSync(sandbox, user.uid, user.gid);
  writeFileSync(join(directory, 'input'), 'input', { mode: 0o644 });
  tools = await createToolRunner(await buildLauncher(), join(directory, 'root'));
});
afterAll(async () => {
  if (!directory) return;
  expect(await mountsBelow(directory)).toEqual([]);
  rmSync(directory, { recursive: true });
});

async function sh(script: string, change: Partial<ConfinedTool> = {}): Promise<string> {
  const input = { path: join(directory, 'input'), below: directory };
  const tool = { argv: ['/bin/sh', '-c', script, 'sh'], input, sandbox: { path: sandbox }, user, ...change };
  const session = await tools.start(tool);
  session.stdin?.end();
  const [said] = await Promise.all([text(session.stdout), succeeded(session, tool)]);
  return said.trim();
}

when('it sees programs, its input and the sandbox, and nothing else', async () => {
  const names = (await sh('ls -A /')).split('\n');
  expect(names).toEqual(expect.arrayContaining(['dev', 'etc', 'input', 'sandbox', 'usr']));
  for (const name of ['proc', 'sys', 'run', 'var', 'home', 'root', 'tmp']) expect(names).not.toContain(name);
  expect(await sh('ls -A /dev')).toBe('null');
  expect(await sh('cat /input; ls -A /etc | grep -v -e ld.so.cache -e alternatives || true')).toBe('input');
});

for (const [who, as] of [
  ['nobody', user],
  ['root', { uid: 0, gid: 0, name: 'root' }],
] as const) {
  when(`as ${who} it cannot change anything but the sandbox, nor become more`, async () => {
    chownSync(sandbox, as.uid, as.gid);
    expect(await sh('echo ok >file && cat file', { user: as })).toBe('ok');
    for (const attempt of [
      'echo x >/input',
      'echo x >/new',
      'echo x >/usr/new',
      'chmod 777 /dev/null',
      'mknod disk b 8 0',
      'chown 1:1 file && test "$(stat -c %u file)" = 1',
      'mount -t tmpfs none /sandbox',
      'unshare -U true',
      'unshare -m true',
    ]) {
      const outcome = await sh(attempt, { user: as }).then(
        () => 'done',
        () => 'refused',
      );
      expect([attempt, outcome]).toEqual([attempt, 'refused']);
    }
    expect(readFileSync(join(sandbox, 'file'), 'utf8')).toBe('ok\n');
    rmSync(join(sandbox, 'file'));
  });
}

when('it has no network: not even its own loopback interface is up', async () => {
  await expect(sh('bash -c "echo >/dev/tcp/127.0.0.1/1"')).rejects.toThrow(/unreachable|exit code/);
});

when('an abort kills it with everything it started', async () => {
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error('enough')), 200);
  const begun = performance.now();
  await expect(sh('sleep 1000 & sleep 1000', { signal: abort.signal })).rejects.toThrow('enough');
  expect(performance.now() - begun).toBeLessThan(60_000);
});

when('what it says on standard error is in the failure', async () => {
  await expect(sh('echo one >&2; echo two >&2; exit 7')).rejects.toMatchObject({
    name: 'ToolFailed',
    exitCode: 7,
    message: 'sh ended with exit code 7: one; two',
  });
});
