import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { keepPreviousLogs } from '../../../../runtime/agent/tasks/previous-logs.ts';

let sandbox: string;
beforeEach(() => {
  sandbox = mkdtempSync(join(tmpdir(), 'tepui-previous-'));
});
afterEach(() => rmSync(sandbox, { recursive: true }));

const write = (files: Record<string, string>) => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(sandbox, name), text);
};
const found = () =>
  Object.fromEntries(readdirSync(sandbox).map((name) => [name, readFileSync(join(sandbox, name), 'utf8')]));
const move = (from: string, to: string) => renameSync(join(sandbox, from), join(sandbox, to));

const present = { stdout: 'new', 'stdout.1': 'new 1', 'stdout.2': 'new 2', 'stdout.3': 'new 3' };
const before = { 'stdout.previous': 'old', 'stdout.previous.1': 'old 1', 'stdout.previous.2': 'old 2' };
const after = {
  'stdout.previous': 'new',
  'stdout.previous.1': 'new 1',
  'stdout.previous.2': 'new 2',
  'stdout.previous.3': 'new 3',
};

test('the log of the run before takes the place of the one before that', async () => {
  write({ ...present, ...before, stderr: 'errors', 'stderr.previous.txt': 'the task’s own' });
  await keepPreviousLogs(sandbox);
  await keepPreviousLogs(sandbox);
  expect(found()).toEqual({ ...after, 'stderr.previous': 'errors', 'stderr.previous.txt': 'the task’s own' });
});

test('with fewer files than the one before, nothing of that is left', async () => {
  write({ stdout: 'new', ...before });
  await keepPreviousLogs(sandbox);
  expect(found()).toEqual({ 'stdout.previous': 'new' });
});

test.each([
  ['some of the old ones are gone', () => rmSync(join(sandbox, 'stdout.previous.2'))],
  [
    'all of the old ones are gone',
    () => ['', '.2', '.1'].forEach((suffix) => void rmSync(join(sandbox, `stdout.previous${suffix}`))),
  ],
  [
    'some of the new ones are moved',
    () => {
      for (const suffix of ['', '.2', '.1']) rmSync(join(sandbox, `stdout.previous${suffix}`));
      for (const suffix of ['.1', '.2']) move(`stdout${suffix}`, `stdout.previous${suffix}`);
    },
  ],
])('an agent that is killed when %s loses nothing of the run before', async (_when, step) => {
  write({ ...present, ...before });
  step();
  await keepPreviousLogs(sandbox);
  expect(found()).toEqual(after);
});

test('what the container put in the way is no reason not to', async () => {
  write(present);
  mkdirSync(join(sandbox, 'stdout.previous/deep'), { recursive: true });
  mkdirSync(join(sandbox, 'stdout.previous.1/deep'), { recursive: true });
  await keepPreviousLogs(sandbox);
  expect(found()).toEqual(after);
});
