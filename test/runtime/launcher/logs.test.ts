import { execFile } from 'node:child_process';
import { link, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readLog } from '../../../runtime/logs/read.ts';
import { type Bed, eventually, makeBed } from './harness.ts';

const run = promisify(execFile);
let bed: Bed;
beforeAll(async () => {
  bed = await makeBed();
});
afterAll(() => bed.close());

const sh = (script: string): string[] => ['sh', '-c', script];

test('a log is rotated between lines, and nothing is lost while files are kept', async () => {
  const request = await bed.request(
    sh('i=0; while [ $i -lt 20000 ]; do echo "line $i of the output"; i=$((i+1)); done'),
  );
  request.stdout = { ...request.stdout, maxBytes: 40_000, maxFiles: 100 };
  await bed.launcher.launch(request);
  await bed.exit(request.containerId);
  const dir = dirname(request.stdout.path);
  const files = (await readdir(dir)).filter((name) => name.startsWith('stdout'));
  files.sort((a, b) => Number(b.split('.')[1] ?? 0) - Number(a.split('.')[1] ?? 0));
  const parts = await Promise.all(files.map((name) => readFile(`${dir}/${name}`, 'utf8')));
  for (const part of parts) {
    expect(part.length).toBeLessThanOrEqual(40_000);
    expect(part.endsWith('\n')).toBe(true);
  }
  expect(parts.join('').trim().split('\n')).toEqual(
    Array.from({ length: 20_000 }, (_, i) => `line ${i} of the output`),
  );
});

test('no more files are kept than asked for, also with one writer that is fast', async () => {
  const request = await bed.request(['perl', '-e', 'print "x" x 99, "\\n" for 1..200000']);
  request.stdout = { ...request.stdout, maxBytes: 1_000_000, maxFiles: 2 };
  await bed.launcher.launch(request);
  await bed.exit(request.containerId);
  const dir = dirname(request.stdout.path);
  expect((await readdir(dir)).filter((name) => name.startsWith('stdout')).sort()).toEqual([
    'stdout',
    'stdout.1',
    'stdout.2',
  ]);
});

test('with no files kept beside it the log is truncated', async () => {
  const request = await bed.request(sh('i=0; while [ $i -lt 1000 ]; do echo "line $i"; i=$((i+1)); done'));
  request.stdout = { ...request.stdout, maxBytes: 1000, maxFiles: 0 };
  await bed.launcher.launch(request);
  await bed.exit(request.containerId);
  const text = await readFile(request.stdout.path, 'utf8');
  expect(text.length).toBeLessThanOrEqual(1000);
  expect(text.trim().split('\n').at(-1)).toBe('line 999');
});

test('a line longer than a file is cut, not lost', async () => {
  const request = await bed.request(['perl', '-e', 'print "x" x 5000']);
  request.stdout = { ...request.stdout, maxBytes: 1000, maxFiles: 9 };
  await bed.launcher.launch(request);
  await bed.exit(request.containerId);
  const dir = dirname(request.stdout.path);
  const sizes = await Promise.all(
    (await readdir(dir))
      .filter((name) => name.startsWith('stdout'))
      .map(async (name) => (await readFile(`${dir}/${name}`)).length),
  );
  expect(sizes.reduce((a, b) => a + b)).toBe(5000);
});

test('a full disk does not hold up the container: what does not fit is dropped and counted', async () => {
  const small = `${bed.dir}/small`;
  await mkdir(small);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tepui-test', small]);
  try {
    const request = await bed.request(['perl', '-e', 'print "x" x 1000000; exit 5']);
    request.stdout = { ...request.stdout, path: `${small}/stdout`, maxBytes: 0 };
    await bed.launcher.launch(request);
    const record = await bed.exit(request.containerId);
    expect(record).toMatchObject({ exitCode: 5 });
    const kept = (await readFile(`${small}/stdout`)).length;
    expect(kept).toBeGreaterThan(0);
    expect(record.droppedLogBytes).toBe(1_000_000 - kept);
  } finally {
    await run('umount', ['-l', small]);
  }
});

test('a full disk does not lose the exit record: its room was reserved', async () => {
  const small = `${bed.dir}/records`;
  await mkdir(small);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tepui-test', small]);
  try {
    const request = await bed.request(['sh', '-c', 'sleep 0.2; exit 6'], { exitRecord: `${small}/exit` });
    await bed.launcher.launch(request);
    await run('dd', ['if=/dev/zero', `of=${small}/full`, 'bs=4k']).catch(() => {});
    const record = await bed.exit(request.containerId);
    expect(record).toEqual({ containerId: request.containerId, exitCode: 6, finishedAtMs: expect.any(Number) });
    expect(JSON.parse(await readFile(request.exitRecord, 'utf8'))).toEqual(record);
    const other = await bed.request(['true'], { exitRecord: `${small}/other` });
    await expect(bed.launcher.launch(other)).rejects.toMatchObject({ step: 'exitRecord', errno: 28 });
  } finally {
    await run('umount', ['-l', small]);
  }
});

test.each(['a symlink', 'a hard link', 'a FIFO'])(
  'what the user put in place of the log does not receive what root writes: %s',
  async (kind) => {
    const request = await bed.request(sh('echo secret'));
    const victim = `${bed.dir}/${request.containerId}/victim`;
    await writeFile(victim, 'untouched');
    if (kind === 'a symlink') await symlink(victim, request.stdout.path);
    else if (kind === 'a hard link') await link(victim, request.stdout.path);
    else await run('mkfifo', [request.stdout.path]);
    await bed.launcher.launch(request);
    await bed.exit(request.containerId);
    expect(await readFile(victim, 'utf8')).toBe('untouched');
    expect(await readFile(request.stdout.path, 'utf8')).toBe('secret\n');
  },
);

test('a log goes on where it was when a container runs in the same sandbox again', async () => {
  const request = await bed.request(sh('echo one'));
  await bed.launcher.launch(request);
  await bed.exit(request.containerId);
  const again = { containerId: `${request.containerId}b`, exitRecord: `${request.exitRecord}b` };
  await bed.launcher.launch({ ...request, ...again, argv: sh('echo two') });
  await bed.exit(`${request.containerId}b`);
  expect(await readFile(request.stdout.path, 'utf8')).toBe('one\ntwo\n');
});

test('what was written since a time is found, over rotations', async () => {
  const script = 'for n in 1 2 3 4; do seq -f "part $n line %g" 200; echo mark $n >&2; sleep 1.2; done';
  const request = await bed.request(['sh', '-c', script]);
  request.stdout.maxBytes = 9000;
  request.stdout.maxFiles = 3;
  const marks: number[] = [];
  await bed.launcher.launch(request);
  for (let mark = 1; mark <= 4; mark += 1) {
    await eventually(async () => (await readFile(request.stderr.path, 'utf8')).includes(`mark ${mark}`), 'the mark');
    marks.push(Date.now());
  }
  await bed.exit(request.containerId);
  const since = async (sinceMs: number) => {
    const chunks: Buffer[] = [];
    for await (const chunk of readLog(dirname(request.stdout.path), 'stdout', { sinceMs })) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  expect((await since(0)).split('\n')).toHaveLength(801);
  // Parts are more than a second apart, and notes are kept to the second: between two marks lies the beginning of a part.
  for (const [index, mark] of marks.entries()) {
    const text = await since(mark + 1000);
    expect(text.includes(`part ${index + 1} `)).toBe(false);
    expect(text.includes(`part ${index + 2} line 1\n`)).toBe(index < 3);
    expect(text.split('\n').length).toBe(1 + 200 * (3 - index));
  }
}, 30_000);

test('output appears while the container runs', async () => {
  const request = await bed.request(sh('echo early; sleep 100'));
  await bed.launcher.launch(request);
  await eventually(async () => (await readFile(request.stdout.path, 'utf8')) === 'early\n', 'the first line');
  await bed.launcher.signal(request.containerId, 9);
  await bed.exit(request.containerId);
});
