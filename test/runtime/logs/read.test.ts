import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type LogPlace, type ReadLogOptions, readLog } from '../../../runtime/logs/read.ts';

let sandbox: string;
beforeEach(() => {
  sandbox = mkdtempSync(join(tmpdir(), 'tepui-logs-'));
});
afterEach(() => rmSync(sandbox, { recursive: true, force: true }));

const at = (name: string) => join(sandbox, name);
const write = (name: string, text: string) => writeFileSync(at(name), text);

/** As the supervisor does it. */
function rotate(keep: number): void {
  for (let index = keep - 1; index >= 0; index -= 1) {
    try {
      renameSync(at(index === 0 ? 'stdout' : `stdout.${index}`), at(`stdout.${index + 1}`));
    } catch {
      // Not there yet.
    }
  }
}

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
}

async function all(options: ReadLogOptions = {}, file: 'stdout' | 'stderr' = 'stdout'): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of readLog(sandbox, file, options)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

describe('reading', () => {
  test('begins where the notes of times say, and at the beginning when they make no sense', async () => {
    const notes = (...pairs: [number, number][]) => {
      const buffer = Buffer.alloc(16 * pairs.length);
      for (const [index, [timeMs, position]] of pairs.entries()) {
        buffer.writeBigUInt64LE(BigInt(timeMs), index * 16);
        buffer.writeBigUInt64LE(BigInt(position), index * 16 + 8);
      }
      writeFileSync(at('.stdout.times'), buffer);
    };
    write('stdout', 'one\ntwo\nthree\n');
    notes([10_000, 0], [20_000, 4], [30_000, 8]);
    expect(await all({ sinceMs: 5_000 })).toBe('one\ntwo\nthree\n');
    expect(await all({ sinceMs: 20_000 })).toBe('two\nthree\n');
    expect(await all({ sinceMs: 25_000 })).toBe('three\n');
    expect(await all({ sinceMs: 40_000 })).toBe('');
    expect(await all({ sinceMs: 20_000, tailLines: 1 })).toBe('three\n');
    expect(await all({ sinceMs: 25_000, tailLines: 3 })).toBe('three\n');
    for (const bad of [
      [
        [10_000, 0],
        [20_000, 400],
      ],
      [
        [10_000, 8],
        [20_000, 4],
      ],
    ] as [number, number][][]) {
      notes(...bad);
      expect(await all({ sinceMs: 20_000 })).toBe('one\ntwo\nthree\n');
    }
    rmSync(at('.stdout.times'));
    symlinkSync('/etc/passwd', at('.stdout.times'));
    expect(await all({ sinceMs: 20_000 })).toBe('one\ntwo\nthree\n');
  });

  test('gives rotated files and the current one in the order they were written', async () => {
    write('stdout.2', 'one\n');
    write('stdout.1', 'two\n');
    write('stdout', 'three\n');
    expect(await all()).toBe('one\ntwo\nthree\n');
    expect(await all({}, 'stderr')).toBe('');
  });

  test('passes bytes on that are no text', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    writeFileSync(at('stdout'), bytes);
    expect(Buffer.from(await all(), 'latin1')).toEqual(bytes);
  });

  test.each([
    [0, ''],
    [1, 'e'],
    [2, 'd\ne'],
    [3, 'c\nd\ne'],
    [5, 'a\nb\nc\nd\ne'],
    [9, 'a\nb\nc\nd\ne'],
  ])('the last %d lines may begin in a rotated file', async (tailLines, expected) => {
    write('stdout.1', 'a\nb\nc\n');
    write('stdout', 'd\ne');
    expect(await all({ tailLines })).toBe(expected);
  });

  test('goes on at the place that another reader came to, over rotations, and at the oldest file when that is gone', async () => {
    write('stdout', 'one\n');
    const starts: (LogPlace | undefined)[] = [];
    const told = (options: ReadLogOptions) => all({ ...options, onStart: (start) => void starts.push(start) });
    expect(await told({ tailLines: 0 })).toBe('');
    rotate(3);
    write('stdout', 'two\n');
    rotate(3);
    write('stdout', 'three\n');
    const { inode, offset } = starts[0]!;
    expect(offset).toBe(4);
    expect(await told({ after: { inode, offset } })).toBe('two\nthree\n');
    expect(starts[1]?.offset).toBe(0);
    expect(await told({ after: { inode, offset: offset + 3 }, tailLines: 0 })).toBe('\nthree\n');
    expect(await told({ after: { inode, offset: 14 } })).toBe('');
    expect(await told({ after: { inode: 0n, offset: 1 } })).toBe('ne\ntwo\nthree\n');
    rmSync(at('stdout.2'));
    expect(await told({ after: { inode, offset: 6 } })).toBe('two\nthree\n');
    expect(await told({})).toBe('two\nthree\n');
  });

  test('finds the last lines of large files', async () => {
    write('stdout', Array.from({ length: 50_000 }, (_, index) => `line ${index}\n`).join(''));
    expect((await all({ tailLines: 20_000 })).startsWith('line 30000\n')).toBe(true);
  });

  test('leaves out files from before a time', async () => {
    write('stdout.1', 'old\n');
    utimesSync(at('stdout.1'), 1000, 1000);
    write('stdout', 'new\n');
    expect(await all({ sinceMs: Date.now() - 60_000 })).toBe('new\n');
  });

  test('does not follow links, nor hang on a pipe', async () => {
    symlinkSync('/etc/passwd', at('stdout'));
    expect(await all()).toBe('');
    rmSync(at('stdout'));
    execFileSync('mkfifo', [at('stdout')]);
    expect(await all()).toBe('');
  });

  test('sees the older files also in the moment of a rotation in which one name is missing', async () => {
    write('stdout.3', 'one\n');
    write('stdout.2', 'two\n');
    write('stdout', 'three\n');
    expect(await all()).toBe('one\ntwo\nthree\n');
  });
});

describe('following', () => {
  test('waits for a file that is not there yet and ends when the task has ended and everything was read', async () => {
    const ended = Promise.withResolvers<void>();
    const reading = all({ follow: true, ended: ended.promise });
    await sleep(30);
    write('stdout', 'hello ');
    await sleep(30);
    appendFileSync(at('stdout'), 'world');
    ended.resolve();
    expect(await reading).toBe('hello world');
  });

  test('loses nothing and repeats nothing over rotations', async () => {
    const ended = Promise.withResolvers<void>();
    const reading = all({ follow: true, ended: ended.promise });
    let expected = '';
    for (let line = 0; line < 400; line += 1) {
      const text = `line ${line}\n`;
      appendFileSync(at('stdout'), text);
      expected += text;
      // All are kept: how far the reader lags behind on a busy machine must not matter.
      if (line % 17 === 16) rotate(30);
      if (line % 5 === 0) await sleep(1);
    }
    ended.resolve();
    expect(await reading).toBe(expected);
  });

  test('starts again when a log is truncated in place', async () => {
    const ended = Promise.withResolvers<void>();
    write('stdout', 'before\n');
    const reading = all({ follow: true, ended: ended.promise });
    await sleep(50);
    truncateSync(at('stdout'), 0);
    await sleep(50);
    appendFileSync(at('stdout'), 'after\n');
    await sleep(50);
    ended.resolve();
    expect(await reading).toBe('before\nafter\n');
  });

  test('closes every file, whenever the reader stops', async () => {
    write('stdout.2', 'one\n');
    write('stdout.1', 'two\n');
    write('stdout', 'three\n');
    utimesSync(at('stdout.2'), 1000, 1000);
    for (const options of [{}, { tailLines: 1 }, { sinceMs: Date.now() - 60_000 }, { follow: true }]) {
      for (const stopAfter of [1, 2, 3]) {
        let seen = 0;
        for await (const _chunk of readLog(sandbox, 'stdout', { ...options, ended: Promise.resolve() })) {
          seen += 1;
          if (seen === stopAfter) break;
        }
      }
      const aborted = new AbortController();
      for await (const _chunk of readLog(sandbox, 'stdout', { ...options, signal: aborted.signal })) aborted.abort();
    }
    expect(openFiles().filter((path) => path.startsWith(sandbox))).toEqual([]);
  });

  test('ends quietly when the reader goes, and leaves no file open', async () => {
    write('stdout', 'x\n');
    const gone = new AbortController();
    const reading = all({ follow: true, signal: gone.signal });
    await sleep(50);
    gone.abort();
    expect(await reading).toBe('x\n');
    const open = execFileSync('ls', ['-l', `/proc/${process.pid}/fd`], { encoding: 'utf8' });
    expect(open).not.toContain(sandbox);
    expect(readFileSync(at('stdout'), 'utf8')).toBe('x\n');
  });
});
