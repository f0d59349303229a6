/** Copying through the launcher: tar streams that real tar reads and writes, and what must not happen to anything else. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { pack } from 'tar-stream';
import { startExec } from '../../../runtime/launcher/exec.ts';
import type { Operation } from '../../../runtime/launcher/operations.ts';
import { type Bed, makeBed } from './harness.ts';

let bed: Bed;
let pid: number;
let startTimeTicks: number;
let containerId: string;
let scratch: string;
const none = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };
const ordinary: Operation[] = [
  { op: 'user', uid: 65534, gid: 65534, groups: [] },
  { op: 'capabilities', ...none },
  { op: 'noNewPrivileges' },
];
beforeAll(async () => {
  bed = await makeBed();
  const request = await bed.request(['sleep', '1000'], { init: true });
  ({ pid, startTimeTicks } = await bed.launcher.launch(request));
  ({ containerId } = request);
  scratch = mkdtempSync(join(tmpdir(), 'tepui-files-'));
});
afterAll(async () => {
  rmSync(scratch, { recursive: true });
  await bed.close();
});

async function enter(argv: string[], files: boolean, input?: Uint8Array, operations: Operation[] = []) {
  const session = await startExec(
    bed.launcher.binary,
    { containerId, pid, startTimeTicks, operations, argv, env: { PATH: '/usr/bin:/bin' }, files },
    { stdin: input !== undefined },
  );
  session.stdin?.on('error', () => {});
  if (input) session.stdin?.end(input);
  const [out, err, exit] = await Promise.all([buffer(session.stdout), text(session.stderr!), session.exit]);
  return { out, err, code: exit.exitCode };
}

const sh = async (script: string, operations: Operation[] = []) => {
  const { out, err, code } = await enter(['sh', '-c', script], false, undefined, operations);
  if (code !== 0) throw new Error(`${script}: ${err}`);
  return out.toString();
};
const send = (path: string, name = 'x', operations?: Operation[]) =>
  enter(['send', path, name], true, undefined, operations);
const receive = (path: string, name: string, input: Uint8Array, operations?: Operation[]) =>
  enter(['receive', path, name], true, input, operations);
const listed = (archive: Uint8Array) =>
  execFileSync('tar', ['-tvf', '-'], { input: archive, encoding: 'utf8' }).trim().split('\n').sort();

test('a directory comes out as tar makes one: modes, times, links, long names, large and empty files', async () => {
  const long = 'n'.repeat(200);
  await sh(`mkdir -p /tmp/out/${long}/sub && cd /tmp/out && seq 100000 > big && : > empty && ln -s big link && ln -s /etc/shadow steal &&
    echo x > ${long}/sub/${long} && ln -s ${long}/${long} longlink && chmod 640 big && chmod 555 ${long} && touch -d @1000000000 big && mkfifo pipe`);
  const { out, err, code } = await send('/tmp/out', 'copy');
  expect(code).toBe(3);
  expect(err).toBe('copy/pipe: neither a file, a directory nor a link\n');
  const lines = listed(out);
  expect(lines.map((line) => line.replace(/^(\S+) \S+ +\d+ \S+ \S+ /, '$1 ')).sort()).toEqual(
    [
      'drwxr-xr-x copy/',
      '-rw-r----- copy/big',
      '-rw-r--r-- copy/empty',
      'lrwxrwxrwx copy/link -> big',
      'lrwxrwxrwx copy/steal -> /etc/shadow',
      `lrwxrwxrwx copy/longlink -> ${long}/${long}`,
      `dr-xr-xr-x copy/${long}/`,
      `drwxr-xr-x copy/${long}/sub/`,
      `-rw-r--r-- copy/${long}/sub/${long}`,
    ].sort(),
  );
  execFileSync('tar', ['-xpf', '-', '-C', scratch], { input: out });
  expect(readFileSync(join(scratch, 'copy/big'), 'utf8').split('\n')).toHaveLength(100_001);
  expect(execFileSync('stat', ['-c', '%Y', join(scratch, 'copy/big')], { encoding: 'utf8' })).toBe('1000000000\n');
});

test('a single file comes out under the name that was asked for; a missing one, a device and a kernel file system do not', async () => {
  await sh('echo one > /tmp/single');
  const { out, code } = await send('/tmp/single', 'named');
  expect(code).toBe(0);
  expect(listed(out)).toEqual([expect.stringMatching(/^-rw-r--r--.* named$/)]);
  expect(await send('/tmp/nosuch')).toMatchObject({ code: 1, err: expect.stringContaining('No such file') });
  expect(await send('/dev/zero')).toMatchObject({
    code: 1,
    err: expect.stringContaining('neither a file nor a directory'),
  });
  for (const path of ['/proc', '/proc/self/status', '/sys/kernel/mm'])
    expect(await send(path)).toMatchObject({ code: 1, err: expect.stringContaining('a file system of the kernel') });
});

test('what real tar made goes in, in place of what is there, and through no link', async () => {
  execFileSync(
    'sh',
    [
      '-c',
      `mkdir -p in/${'d'.repeat(60)}/${'e'.repeat(60)} && echo new > in/file && ln -s file in/link && printf '#!/bin/sh\n' > in/run && chmod 755 in/run && chmod 500 in/${'d'.repeat(60)} && touch -d @1000000000 in/file in`,
    ],
    { cwd: scratch },
  );
  for (const format of ['ustar', 'gnu', 'pax']) {
    await sh(
      `rm -rf /tmp/in /tmp/victim && mkdir -p /tmp/in/dir && echo old > /tmp/victim && ln -s /tmp/victim /tmp/in/file && ln -s /tmp /tmp/in/link`,
    );
    const archive = execFileSync('tar', ['-cf', '-', `--format=${format}`, '-C', scratch, 'in']);
    expect(await receive('/tmp/in', 'dir', archive)).toMatchObject({ code: 0, err: '' });
    expect(await receive('/tmp/in', 'in', archive)).toMatchObject({ code: 0, err: '' });
    expect(
      await sh(
        'cd /tmp/in && cat in/file && readlink in/link && stat -c "%a %Y" in/file in && stat -c %a in/run in/ddd* && cat dir/file',
      ),
    ).toBe('new\nfile\n644 1000000000\n755 1000000000\n755\n500\nnew\n');
    // As a new name; a link at that very place is what was asked for, one within it is not.
    expect(await receive('/tmp/in/renamed', 'in', archive)).toMatchObject({ code: 0 });
    expect(await sh('cat /tmp/in/renamed/file; cat /tmp/victim')).toBe('new\nold\n');
    await sh('rm -rf /tmp/in/renamed && mkdir /tmp/in/renamed && ln -s /tmp/victim /tmp/in/renamed/file');
    expect(await receive('/tmp/in', 'renamed', archive)).toMatchObject({ code: 0 });
    expect(await sh('cat /tmp/in/renamed/file; cat /tmp/victim; stat -c %F /tmp/in/renamed/file')).toBe(
      'new\nold\nregular file\n',
    );
  }
});

/** An archive that no tar would make. */
async function crafted(
  entries: {
    name: string;
    type?: 'file' | 'symlink' | 'directory' | 'character-device';
    content?: string;
    linkname?: string;
  }[],
): Promise<Buffer> {
  const archive = pack();
  for (const { content = '', ...header } of entries) archive.entry({ mode: 0o4755, ...header }, content);
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive as unknown as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test.each([
  ['a parent directory', 'in/../../tmp/evil'],
  ['only a parent directory', '..'],
  ['an absolute path', '/tmp/evil'],
])('an archive with %s is refused', async (_what, name) => {
  await sh('rm -rf /tmp/evil /tmp/into; mkdir /tmp/into');
  const result = await receive('/tmp/into', 'in', await crafted([{ name, content: 'x' }]));
  // What stands for the copied thing itself has its first part replaced, so `..` alone is just that thing.
  if (name === '..') expect(result.code).toBe(0);
  else expect(result).toMatchObject({ code: 1, err: expect.stringContaining('leads elsewhere') });
  expect(await sh('ls -d /tmp/evil 2>/dev/null || true')).toBe('');
});

test('a link that the archive brings is not gone through, set-user-id bits and devices do not come', async () => {
  await sh('rm -rf /tmp/into /tmp/aside; mkdir /tmp/into /tmp/aside');
  const archive = await crafted([
    { name: 'in/', type: 'directory' },
    { name: 'in/way', type: 'symlink', linkname: '/tmp/aside' },
    { name: 'in/way/file', content: 'x' },
    { name: 'in/null', type: 'character-device' },
    { name: 'in/suid', content: 'x' },
  ]);
  const { code, err } = await receive('/tmp/into', 'in', archive);
  expect(code).toBe(3);
  expect(err).toContain('in/way/file: Not a directory');
  expect(err).toContain('in/null: neither a file');
  expect(await sh('ls /tmp/aside; stat -c %a /tmp/into/in/suid')).toBe('755\n');
});

test('it has no more rights than the user, and leaves nothing half-done', async () => {
  await sh('rm -rf /tmp/own /tmp/secret; echo secret > /tmp/secret; chmod 600 /tmp/secret; mkdir -m 755 /tmp/own');
  expect(await send('/tmp/secret', 'x', ordinary)).toMatchObject({
    code: 1,
    err: expect.stringContaining('Permission denied'),
  });
  const archive = await crafted([{ name: 'in', content: 'x' }]);
  expect(await receive('/tmp/own', 'in', archive, ordinary)).toMatchObject({
    code: 3,
    err: expect.stringContaining('Permission denied'),
  });
  await sh('chmod 777 /tmp/own');
  expect(await receive('/tmp/own', 'in', archive, ordinary)).toMatchObject({ code: 0 });
  expect(await sh('stat -c %u /tmp/own/in')).toBe('65534\n');
  const whole = execFileSync('sh', ['-c', 'seq 100000 > many && tar -cf - many'], { cwd: scratch, maxBuffer: 1 << 24 });
  expect(await receive('/tmp/own', 'many', whole.subarray(0, 70_000), ordinary)).toMatchObject({
    code: 1,
    err: expect.stringContaining('cut short'),
  });
  expect(await sh('ls -A /tmp/own')).toBe('in\n');
});

test('a full disk is told, and what was there stays', async () => {
  await sh('mkdir -p /tmp/full; echo before > /tmp/full/in');
  mkdirSync(join(scratch, 'large'));
  writeFileSync(join(scratch, 'large/in'), Buffer.alloc(40 << 20, 1));
  const archive = execFileSync('tar', ['-cf', '-', '-C', join(scratch, 'large'), 'in'], { maxBuffer: 1 << 27 });
  expect(await receive('/tmp/full', 'in', archive)).toMatchObject({
    code: 1,
    err: expect.stringContaining('No space left'),
  });
  expect(await sh('cat /tmp/full/in; ls -A /tmp/full')).toBe('before\nin\n');
});

test.each([[['send', '/tmp']], [['fetch', '/tmp', 'x']], [['send', '/tmp', '../x']], [['send', '', 'x']]])(
  'the request %j is refused before anything is done',
  async (argv) => {
    await expect(enter(argv, true)).rejects.toThrow(/copy/);
  },
);
