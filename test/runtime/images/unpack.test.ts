/** Layers from tars of every format that GNU tar writes, however they come in pieces; and what is no tar, or no record, at all. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LayerRefused } from '../../../runtime/images/unpack/layer-entries.ts';
import { encodeRecord, RECORD_TYPES, type UnpackRecord } from '../../../runtime/images/unpack/record.ts';
import { TarInvalid } from '../../../runtime/images/unpack/tar-header.ts';
import { createTarReader, type TarEntry } from '../../../runtime/images/unpack/tar-reader.ts';
import { unpackLayer } from '../../../runtime/images/unpack/unpack-layer.ts';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { hasCompiler } from '../launcher/harness.ts';
import { tar } from './support/tar.ts';
import { suiteWith } from './support/tools.ts';

const suite = suiteWith(describe, describe.skip, process.getuid?.() === 0 ? undefined : 'needs root');

suite('unpacking a layer', () => {
  let base: string;
  let tree: string;
  let binary: string;
  let serial = 0;

  beforeAll(async () => {
    base = mkdtempSync(join(tmpdir(), 'tepui-unpack-'));
    tree = join(base, 'tree');
    binary = await buildLauncher();
    makeTree(tree);
  }, 60_000);
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  async function unpack(bytes: Buffer, pieces: (bytes: Buffer) => Iterable<Buffer> = inOne): Promise<string> {
    const directory = join(base, `out-${++serial}`);
    mkdirSync(directory);
    const diffId = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    await unpackLayer({ binary, directory, source: asynchronous(pieces(bytes)), diffId, maxBytes: 2 ** 40 });
    return directory;
  }

  // V7 and ustar cannot say everything: what they leave out is not in their trees.
  test.each([
    ['gnu', []],
    ['pax', []],
    ['posix', ['--pax-option=delete=atime,delete=ctime']],
    ['gnu', ['--sparse']],
    ['pax', ['--sparse', '--sparse-version=0.0']],
    ['pax', ['--sparse', '--sparse-version=0.1']],
    ['pax', ['--sparse', '--sparse-version=1.0']],
    ['pax', ['--xattrs', '--acls', '--selinux']],
  ])('of format %s %j makes what was packed', async (format, options) => {
    const bytes = execFileSync('tar', ['-c', `--format=${format}`, ...options, '-C', tree, '.'], {
      maxBuffer: 1 << 28,
    });
    const directory = await unpack(bytes);
    expect(describeTree(directory)).toEqual(describeTree(tree));
    if (options.includes('--sparse')) expect(statSync(join(directory, 'sparse')).blocks).toBeLessThan(600);
    if (options.includes('--xattrs')) expect(xattrs(directory)).toEqual(xattrs(tree));
  });

  test.each(['v7', 'ustar'])('of format %s makes what was packed', async (format) => {
    const bytes = execFileSync('tar', ['-c', `--format=${format}`, '-C', tree, 'simple']);
    const directory = await unpack(bytes);
    expect(describeTree(join(directory, 'simple'))).toEqual(describeTree(join(tree, 'simple')));
  });

  test('does not depend on the pieces in which the bytes come', async () => {
    const bytes = execFileSync('tar', ['-c', '--format=pax', '--sparse', '-C', tree, 'long', 'sparse', 'dir', 'plain']);
    // The root is no entry of this tar: its time is that of its making.
    const entries = (directory: string) => describeTree(directory).filter((line) => !line.startsWith('. '));
    const wanted = entries(await unpack(bytes));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 }), async (sizes) => {
        const directory = await unpack(bytes, (all) => inPieces(all, sizes));
        expect(entries(directory)).toEqual(wanted);
      }),
      { numRuns: 10 },
    );
  }, 120_000);

  test('ends with an error for every tar that is cut off in an entry', () => {
    const bytes = execFileSync('tar', ['-c', '--format=pax', '-C', tree, 'long', 'dir', 'plain']);
    for (let length = 1; length < bytes.length - 10_240; length += 97) {
      const entries = tryRead(bytes.subarray(0, length));
      if (length % 512 !== 0) expect(entries).toBe('refused');
    }
  });

  test('never ends otherwise than well or with TarInvalid, whatever is changed in a tar', () => {
    const bytes = execFileSync('tar', ['-c', '--format=gnu', '--sparse', '-C', tree, 'long', 'sparse', 'dir', 'plain']);
    const change = fc.record({ at: fc.nat(bytes.length - 1), byte: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), fc.boolean(), (changes, mend) => {
        const changed = Buffer.from(bytes);
        for (const { at, byte } of changes) changed[at] = byte;
        if (mend) for (const { at } of changes) mendChecksum(changed, at - (at % 512));
        tryRead(changed);
      }),
      { numRuns: 3000 },
    );
  }, 120_000);

  test('gives each entry the last word: files, directories and links take each other’s place', async () => {
    const directory = await unpack(
      tar([
        { path: 'a/' },
        { path: 'a/inner', content: 'x' },
        { path: 'a', content: 'now a file' },
        { path: 'b', content: 'x' },
        { path: 'b/', mode: 0o700 },
        { path: 'b/inner', content: 'y' },
        { path: 'c', type: '2', link: 'a' },
        { path: 'c', type: '1', link: 'a' },
      ]),
    );
    expect(statSync(join(directory, 'a')).nlink).toBe(2);
    expect(statSync(join(directory, 'b')).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(directory, 'b'))).toEqual(['inner']);
  });

  test('makes whiteouts overlayfs’s, and opaque what is removed and made anew', async () => {
    const directory = await unpack(
      tar([
        { path: 'gone/.wh.file' },
        { path: '.wh.anew' },
        { path: 'anew/' },
        { path: 'anew/file', content: 'x' },
        { path: 'later/' },
        { path: '.wh.later' },
        { path: '.wh.stays' },
        { path: 'stays', content: 'of this layer' },
        { path: 'cleared/.wh..wh..opq' },
        { path: 'cleared/new', content: 'x' },
        { path: '.wh..wh.plnk/' },
        { path: '.wh..wh.aufs', content: 'x' },
      ]),
    );
    const opaque = (name: string) =>
      spawnSync('getfattr', ['-n', 'trusted.overlay.opaque', '--only-values', join(directory, name)], {
        encoding: 'utf8',
      }).stdout;
    expect(readdirSync(directory).sort()).toEqual(['anew', 'cleared', 'gone', 'later', 'stays']);
    expect(statSync(join(directory, 'gone/file')).isCharacterDevice()).toBe(true);
    expect([opaque('anew'), opaque('later'), opaque('cleared')]).toEqual(['y', 'y', 'y']);
    expect(statSync(join(directory, 'stays')).isFile()).toBe(true);
    // Through overlayfs: what a lower layer has there is not seen.
    const lower = join(base, 'lower');
    for (const path of ['gone/file', 'gone/other', 'anew/old', 'later/old', 'cleared/old', 'stays/old']) {
      mkdirSync(join(lower, path, '..'), { recursive: true });
      writeFileSync(join(lower, path), 'lower');
    }
    const merged = join(base, 'merged');
    mkdirSync(merged);
    execFileSync('mount', ['-t', 'overlay', '-o', `ro,lowerdir=${directory}:${lower}`, 'overlay', merged]);
    try {
      const files = execFileSync('find', ['.', '-type', 'f'], { cwd: merged, encoding: 'utf8' })
        .trim()
        .split('\n')
        .sort();
      expect(files).toEqual(['./anew/file', './cleared/new', './gone/other', './stays']);
    } finally {
      execFileSync('umount', [merged]);
    }
  });

  (hasCompiler ? describe : describe.skip)('by records that no agent sends', () => {
    let sanitized: string;
    beforeAll(async () => {
      sanitized = await buildLauncher({ sanitize: true });
    }, 120_000);

    const feed = (input: Buffer) => {
      const directory = join(base, 'records');
      mkdirSync(directory, { recursive: true });
      const { status, signal, stdout, stderr } = spawnSync(sanitized, ['unpack', directory], {
        input,
        encoding: 'utf8',
        timeout: 60_000,
      });
      expect({ signal, stderr }).toEqual({ signal: null, stderr: '' });
      expect([0, 1]).toContain(status);
      expect(Object.keys(JSON.parse(stdout) as object)).toContain(status === 0 ? 'records' : 'failed');
      return stdout;
    };
    const end = encodeRecord({ type: 'end', path: '' });

    test.each([
      [{ type: 'file', path: '../x', size: 0 }, 'not below the root'],
      [{ type: 'file', path: '/x', size: 0 }, 'not below the root'],
      [{ type: 'file', path: 'a//x', size: 0 }, 'not below the root'],
      [{ type: 'file', path: 'a/./x', size: 0 }, 'not below the root'],
      [{ type: 'file', path: 'a/', size: 0 }, 'not below the root'],
      [{ type: 'file', path: 'a\0b', size: 0 }, 'has a NUL'],
      [{ type: 'file', path: '', size: 0 }, 'path is empty'],
      [{ type: 'file', path: 'x'.repeat(5000), size: 0 }, 'too long'],
      [{ type: 'file', path: 'x'.repeat(256), size: 0 }, 'not below the root'],
      [{ type: 'file', path: 'x', mode: 0o10000, size: 0 }, 'out of range'],
      [{ type: 'file', path: 'x', nanoseconds: 1e9, size: 0 }, 'out of range'],
      [{ type: 'file', path: 'x', uid: 2 ** 32 - 1, size: 0 }, 'out of range'],
      [{ type: 'hardLink', path: 'x', link: '../y' }, 'not below the root'],
      [{ type: 'hardLink', path: 'x', link: '' }, 'not below the root'],
      [{ type: 'symlink', path: 'x', link: '' }, 'link is empty'],
      [{ type: 'directory', path: 'x', xattrs: [['trusted.overlay.opaque', 'y']] }, 'not allowed'],
      [{ type: 'directory', path: 'x', xattrs: [['user.overlay.opaque', 'y']] }, 'not allowed'],
      [{ type: 'directory', path: 'x', xattrs: [['user.', 'y']] }, 'not allowed'],
      [{ type: 'sparse', path: 'x', size: 5, extents: [{ offset: 4, length: 2 }] }, 'behind the end'],
      [
        {
          type: 'sparse',
          path: 'x',
          size: 9,
          extents: [
            { offset: 4, length: 2 },
            { offset: 3, length: 1 },
          ],
        },
        'not in order',
      ],
      [{ type: 'file', path: 'x', size: 0, extents: [{ offset: 0, length: 0 }] }, 'only sparse files'],
      [{ type: 'file', path: 'x', size: 100 }, 'ended before the end'],
    ] satisfies [UnpackRecord, string][])('number %# is refused', (record, reason) => {
      expect(feed(encodeRecord(record))).toContain(reason);
    });

    test('at random: they end well or with a reason', () => {
      const name = fc.oneof(
        fc.constantFrom('a', 'b', 'a/b', 'a/b/c', 'l', 'l/x', '', '..', 'a/..'),
        fc.string({ maxLength: 8 }),
      );
      const record = fc.record({
        type: fc.constantFrom(...(Object.keys(RECORD_TYPES) as UnpackRecord['type'][])),
        path: name,
        link: name,
        mode: fc.nat(0o17777),
        size: fc.nat(64),
        extents: fc.array(fc.record({ offset: fc.nat(80), length: fc.nat(20) }), { maxLength: 3 }),
        xattrs: fc.array(
          fc.tuple(fc.constantFrom('user.a', 'security.capability', 'trusted.x', ''), fc.string({ maxLength: 8 })),
          { maxLength: 2 },
        ),
        data: fc.uint8Array({ maxLength: 64 }),
        cut: fc.nat(200),
      });
      fc.assert(
        fc.property(fc.array(record, { maxLength: 12 }), (records) => {
          const bytes = records.map(({ data, cut, ...rest }) => {
            const encoded = encodeRecord({ ...rest, ...(rest.type !== 'sparse' && cut < 190 && { extents: [] }) });
            const whole = Buffer.concat([encoded, data]);
            return cut < 180 ? whole : whole.subarray(0, cut % whole.length);
          });
          feed(Buffer.concat([...bytes, end]));
        }),
        { numRuns: 150 },
      );
    }, 300_000);

    test('of pure noise: they end with a reason', () => {
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), (noise) => {
          feed(Buffer.from(noise));
        }),
        { numRuns: 60 },
      );
    }, 120_000);
  });

  test('says why when the disk has no room', async () => {
    const small = join(base, 'small');
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small]);
    try {
      const bytes = tar([{ path: 'big', content: Buffer.alloc(4 << 20, 1) }]);
      const diffId = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      const result = unpackLayer({
        binary,
        directory: small,
        source: asynchronous([bytes]),
        diffId,
        maxBytes: 2 ** 40,
      });
      await expect(result).rejects.toMatchObject({ name: 'UnpackFailed', diskFull: true });
    } finally {
      execFileSync('umount', [small]);
    }
  });

  test('can be given up', async () => {
    const abort = new AbortController();
    const directory = join(base, 'given-up');
    mkdirSync(directory);
    async function* endless(): AsyncGenerator<Buffer> {
      yield tar([{ path: 'big', size: 2 ** 30 }], { end: false });
      for (;;) {
        yield Buffer.alloc(65_536);
        if (statSync(join(directory, 'big'), { throwIfNoEntry: false }) !== undefined) abort.abort(new Error('enough'));
      }
    }
    const result = unpackLayer({
      binary,
      directory,
      source: endless(),
      diffId: 'sha256:0',
      maxBytes: 2 ** 40,
      signal: abort.signal,
    });
    await expect(result).rejects.toThrow('enough');
  });

  function tryRead(bytes: Buffer): TarEntry[] | 'refused' {
    const entries: TarEntry[] = [];
    try {
      const reader = createTarReader({ entry: (entry) => void entries.push(entry), data: () => {} });
      reader.push(bytes);
      reader.end();
      return entries;
    } catch (error) {
      if (error instanceof TarInvalid || error instanceof LayerRefused) return 'refused';
      throw error;
    }
  }
});

function makeTree(tree: string): void {
  mkdirSync(join(tree, 'dir', 'empty'), { recursive: true });
  const long = join(tree, 'long', 'directory-with-a-long-name-'.repeat(4), 'another-'.repeat(12));
  mkdirSync(long, { recursive: true });
  writeFileSync(join(long, 'file-'.repeat(25)), 'long');
  writeFileSync(join(tree, 'plain'), 'plain', { mode: 0o640 });
  writeFileSync(join(tree, 'dir', 'größe'), 'unicode');
  symlinkSync('target-'.repeat(30), join(tree, 'long', 'link'));
  execFileSync(
    'sh',
    [
      '-ec',
      `ln plain dir/hard; mkfifo fifo; truncate -s 64M sparse; printf begin | dd of=sparse conv=notrunc status=none
       for at in 1 7 9 33 40 41 63; do printf "at $at" | dd of=sparse bs=1M seek=$at conv=notrunc status=none; done
       printf x > suid; chown 1000:2000 suid; chmod 6755 suid; chown -h 5:6 long/link; chmod 1777 dir; chmod 0 dir/empty
       touch -d @-86400 plain; touch -d '2001-02-03 04:05:06.5' dir/größe; touch -h -d @1000000 long/link; setfattr -n user.note -v "some value" plain || true
       mkdir simple; printf y > simple/file; ln simple/file simple/hard; ln -s file simple/link; chmod 2750 simple
       : > nothing; head -c 1000000 /dev/urandom > random; touch -d @1500000000 dir/empty dir .`,
    ],
    { cwd: tree },
  );
}

/** Everything about a tree but inode numbers and fractions of seconds, which not every format has. */
function describeTree(root: string): string[] {
  const list = execFileSync('find', ['.', '-printf', '%p %y %m %U %G %s %l %Ts\\n'], { cwd: root, encoding: 'utf8' });
  const sums = execFileSync('sh', ['-c', 'find . -type f | sort | xargs -d "\\n" sha256sum'], {
    cwd: root,
    encoding: 'utf8',
  });
  const isEntry = (line: string) => line !== '';
  // Sizes of directories are the file system's own affair.
  return [...list.split('\n').map((line) => line.replace(/ d (\S+ \S+ \S+) \S+/, ' d $1')), ...sums.split('\n')]
    .filter(isEntry)
    .sort();
}

function xattrs(root: string): string {
  return execFileSync('sh', ['-c', 'getfattr -R -h -d -m "user|security" . | sort'], { cwd: root, encoding: 'utf8' });
}

function* inOne(bytes: Buffer): Generator<Buffer> {
  yield bytes;
}

function* inPieces(bytes: Buffer, sizes: number[]): Generator<Buffer> {
  for (let at = 0, next = 0; at < bytes.length; next++) {
    const size = sizes[next % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function* asynchronous(parts: Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* parts;
}

/** So that a changed header is looked at and not only its sum. */
function mendChecksum(bytes: Buffer, at: number): void {
  bytes.fill(' ', at + 148, at + 156);
  const sum = bytes.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
}
