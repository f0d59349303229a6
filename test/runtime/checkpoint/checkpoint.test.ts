import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openCheckpointDirectory } from '../../../runtime/checkpoint/directory.ts';
import { syncDirectory } from '../../../runtime/checkpoint/directory-sync.ts';
import {
  CheckpointCorrupt,
  CheckpointTooNew,
  readCheckpoint,
  removeCheckpoint,
  writeCheckpoint,
} from '../../../runtime/checkpoint/file.ts';

const KIND = { kind: 'Test', version: 2 };
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-checkpoint-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('a checkpoint', () => {
  test('reads back what was written, is private, and leaves no temporary file', async () => {
    const path = join(directory, 'a.json');
    await writeCheckpoint(path, KIND, { value: 'ü' });
    expect(await readCheckpoint(path, KIND)).toEqual({ value: 'ü' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['a.json']);
    await removeCheckpoint(path);
    await removeCheckpoint(path);
    expect(await readCheckpoint(path, KIND)).toBeUndefined();
  });

  test.each([
    ['', 'it is empty'],
    ['{"kind":"Test","ver', 'it is not JSON'],
    ['null', 'no version'],
    ['{"version":1,"data":1,"kind":"Other"}', 'holds a Other'],
  ])('with the content %j is corrupt and named so', async (text, problem) => {
    const path = join(directory, 'a.json');
    writeFileSync(path, text);
    const reading = readCheckpoint(path, KIND);
    await expect(reading).rejects.toThrow(CheckpointCorrupt);
    await expect(readCheckpoint(path, KIND)).rejects.toThrow(problem);
  });

  test('of a newer program is refused, of an older one accepted', async () => {
    const path = join(directory, 'a.json');
    await writeCheckpoint(path, { kind: 'Test', version: 3 }, 1);
    await expect(readCheckpoint(path, KIND)).rejects.toThrow(CheckpointTooNew);
    await writeCheckpoint(path, { kind: 'Test', version: 1 }, 1);
    expect(await readCheckpoint(path, KIND)).toBe(1);
  });

  test('is there whole after kill -9 of its writer: the old or the new content, and never older than what was acknowledged', async () => {
    const path = join(directory, 'a.json');
    const program = `
      import { writeCheckpoint } from ${JSON.stringify(join(process.cwd(), 'runtime/checkpoint/file.ts'))};
      for (let n = 1; ; n += 1) {
        await writeCheckpoint(${JSON.stringify(path)}, { kind: 'Test', version: 2 }, { n, text: 'x'.repeat(20000) });
        process.stdout.write(n + '\\n');
      }`;
    for (let round = 0; round < 5; round += 1) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let acknowledged = 0;
      child.stdout.on('data', (chunk: Buffer) => {
        acknowledged = Number(chunk.toString().trim().split('\n').at(-1));
      });
      while (acknowledged < 20) await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 5));
      child.kill('SIGKILL');
      await new Promise((resolve) => child.on('close', resolve));
      const found = await readCheckpoint<{ n: number }>(path, KIND);
      expect(found!.n).toBeGreaterThanOrEqual(acknowledged);
    }
  });
});

describe('a directory of checkpoints', () => {
  const open = (strict = true, onCorrupt?: (error: Error) => void) =>
    openCheckpointDirectory<{ n: number }>(directory, KIND, { strict, onCorrupt });

  test('loads what was written, cleans up after a crash, and keeps the last of many writes', async () => {
    const records = await open();
    await Promise.all(Array.from({ length: 50 }, (_, n) => records.write('one', { n })));
    await records.write('two', { n: 2 });
    await records.write('three', { n: 3 });
    await records.remove('three');
    writeFileSync(join(directory, '.one.json.1.1.tmp'), 'half');
    const loaded = await (await open()).load();
    expect(Object.fromEntries(loaded)).toEqual({ one: { n: 49 }, two: { n: 2 } });
    expect(readdirSync(directory).sort()).toEqual(['one.json', 'two.json']);
  });

  test('a removal after a write wins, and a write after a removal too', async () => {
    const records = await open();
    await Promise.all([records.write('a', { n: 1 }), records.remove('a')]);
    expect((await records.load()).size).toBe(0);
    await Promise.all([records.write('a', { n: 1 }), records.remove('a'), records.write('a', { n: 2 })]);
    expect((await records.load()).get('a')).toEqual({ n: 2 });
  });

  test('stops at a corrupt file when strict, and leaves it out with a word otherwise', async () => {
    writeFileSync(join(directory, 'bad.json'), 'no');
    await expect((await open()).load()).rejects.toThrow(CheckpointCorrupt);
    const problems: Error[] = [];
    expect((await (await open(false, (error) => problems.push(error))).load()).size).toBe(0);
    expect(problems[0]?.message).toContain('bad.json');
  });

  test.each(['../x', '', '.hidden', 'a/b'])('refuses the name "%s"', async (name) => {
    const records = await open();
    await expect((async () => records.write(name, { n: 1 }))()).rejects.toThrow('cannot be the name');
  });
});

test('directory syncs that are asked for together are shared: at most two for any number', async () => {
  const syncs = Array.from({ length: 200 }, () => syncDirectory(directory));
  expect(new Set(syncs).size).toBe(2);
  await Promise.all(syncs);
  await expect(syncDirectory(join(directory, 'missing'))).rejects.toThrow('ENOENT');
});
