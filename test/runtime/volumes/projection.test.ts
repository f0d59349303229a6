import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ProjectedFile, ProjectionInvalid, writeProjection } from '../../../runtime/volumes/projection.ts';

describe('a directory of files that is replaced as a whole', () => {
  let base: string;
  let directory: string;
  const owner = { uid: process.getuid?.() === 0 ? 65534 : process.getuid!(), gid: process.getgid!() };
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'tepui-projection-'));
    directory = join(base, 'secret');
  });
  afterEach(() => rmSync(base, { recursive: true }));
  const file = (path: string, content: string, mode = 0o400): ProjectedFile => ({
    path,
    content: Buffer.from(content),
    mode,
  });
  const read = (path: string) => readFileSync(join(directory, path), 'utf8');
  const visible = () =>
    readdirSync(directory)
      .filter((name) => !name.startsWith('..'))
      .sort();

  test('has the files with exactly their modes, of the owner', async () => {
    expect(await writeProjection(directory, [file('password', 'x'), file('tls/key', 'k', 0o440)], owner)).toBe(true);
    expect(read('password')).toBe('x');
    expect(read('tls/key')).toBe('k');
    const { uid, mode } = statSync(join(directory, 'password'));
    expect([uid, mode & 0o7777]).toEqual([owner.uid, 0o400]);
    expect(statSync(join(directory, 'tls/key')).mode & 0o7777).toBe(0o440);
    expect(visible()).toEqual(['password', 'tls']);
  });

  test('changes all files at once, and leaves no old version behind', async () => {
    await writeProjection(directory, [file('a', '1'), file('b', '1')], owner);
    const first = readlinkSync(join(directory, '..data'));
    expect(await writeProjection(directory, [file('a', '2'), file('c/d', '2')], owner)).toBe(true);
    const second = readlinkSync(join(directory, '..data'));
    expect(second).not.toBe(first);
    expect([read('a'), read('c/d')]).toEqual(['2', '2']);
    expect(visible()).toEqual(['a', 'c']);
    expect(readdirSync(directory).filter((name) => name.startsWith('..'))).toEqual([second, '..data'].sort());
  });

  test('is left alone when nothing changed, and written again when a mode did', async () => {
    await writeProjection(directory, [file('a', '1')], owner);
    const link = readlinkSync(join(directory, '..data'));
    expect(await writeProjection(directory, [file('a', '1')], owner)).toBe(false);
    expect(readlinkSync(join(directory, '..data'))).toBe(link);
    expect(await writeProjection(directory, [file('a', '1', 0o444)], owner)).toBe(true);
  });

  test('readers that look all the time never see two versions mixed', async () => {
    await writeProjection(directory, [file('a', '0'), file('b', '0')], owner);
    let mixed = 0;
    let looking = true;
    const look = async () => {
      while (looking) {
        // As a careful program does: one directory, two files.
        const version = join(directory, readlinkSync(join(directory, '..data')));
        try {
          const pair = ['a', 'b'].map((name) => readFileSync(join(version, name), 'utf8'));
          if (pair[0] !== pair[1]) mixed += 1;
        } catch {
          // It went away meanwhile: the next look finds the new one.
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const reader = look();
    for (let round = 1; round <= 50; round++)
      await writeProjection(directory, [file('a', String(round)), file('b', String(round))], owner);
    looking = false;
    await reader;
    expect(mixed).toBe(0);
    expect(read('a')).toBe('50');
  });

  test('can be empty', async () => {
    expect(await writeProjection(directory, [], owner)).toBe(true);
    expect(visible()).toEqual([]);
    expect(await writeProjection(directory, [], owner)).toBe(false);
  });

  test.each([[['../x']], [['/x']], [['..data']], [['a/../../x']], [['']], [['a', 'a']], [['a', 'a/b']], [['a/..x/b']]])(
    'refuses the paths %j',
    async (paths) => {
      const files = paths.map((path) => file(path, 'x'));
      await expect(writeProjection(directory, files, owner)).rejects.toThrow(ProjectionInvalid);
    },
  );
});
