/** Archives made by tar, zip and the compressors, and hostile ones made by hand. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { contentOf, type FetchBed, openBed, serve, tree, unavailable, type WebServer } from './harness.ts';

const when = unavailable ? test.skip : test;
const has = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
const whenHas = (...tools: string[]) => {
  const missing = tools.filter((tool) => !has(tool));
  if (missing.length > 0 && !unavailable) console.log(`skipped: no ${missing.join(', ')} here`);
  return missing.length === 0 ? when : test.skip;
};

let bed: FetchBed;
let server: WebServer;
let source: string;
/** What the server has. */
const files = new Map<string, Buffer>();
beforeAll(async () => {
  if (unavailable) return console.log(`skipped: ${unavailable}`);
  bed = await openBed();
  server = await serve((request, response) => {
    const content = files.get(request.url!.slice(1));
    response.writeHead(content ? 200 : 404, content && { 'content-length': content.length }).end(content);
  });
  source = mkdtempSync('/var/lib/tepui-test-source-');
  mkdirSync(join(source, 'tree/sub'), { recursive: true });
  writeFileSync(join(source, 'tree/file'), 'content');
  writeFileSync(join(source, 'tree/sub/tool'), '#!/bin/sh\n', { mode: 0o755 });
  symlinkSync('sub/tool', join(source, 'tree/link'));
});
afterAll(async () => {
  server?.close();
  await bed?.close();
  if (source) rmSync(source, { recursive: true });
});

/** Packs `tree` with a tool, below the source directory, and puts it on the server. */
function pack(name: string, command: string, ...args: string[]): void {
  execFileSync(command, args, { cwd: source, stdio: 'ignore' });
  files.set(name, readFileSync(join(source, name)));
}

const unpacked = [
  'tree/ 755 65534',
  'tree/file 644 65534',
  'tree/link ->',
  'tree/sub/ 755 65534',
  'tree/sub/tool 755 65534',
];

describe('archives', () => {
  const kinds: [name: string, flag: string, tool: string][] = [
    ['a.tar', '-cf', 'tar'],
    ['a.tar.gz', '-czf', 'gzip'],
    ['a.tgz', '-czf', 'gzip'],
    ['a.tar.bz2', '-cjf', 'bzip2'],
    ['a.tbz2', '-cjf', 'bzip2'],
    ['a.tar.xz', '-cJf', 'xz'],
    ['a.txz', '-cJf', 'xz'],
  ];
  for (const [name, flag, tool] of kinds) {
    whenHas('tar', tool)(`${name} is unpacked beside itself, and belongs to the task user`, async () => {
      pack(name, 'tar', flag, name, 'tree');
      const sandbox = await bed.fetch([`${server.url}/${name}`]);
      expect(tree(sandbox)).toEqual([`${name} 644 65534`, ...unpacked]);
      expect(contentOf(sandbox, 'tree/link')).toBe('#!/bin/sh\n');
    });
  }

  whenHas('tar')('a.tar.zst is unpacked, with or without a zstd program', async () => {
    pack('b.tar', 'tar', '-cf', 'b.tar', 'tree');
    files.set('a.tar.zst', zstdCompressSync(files.get('b.tar')!));
    const sandbox = await bed.fetch([`${server.url}/a.tar.zst`]);
    expect(tree(sandbox)).toEqual(['a.tar.zst 644 65534', ...unpacked]);
    files.set('bad.tar.zst', zstdCompressSync(files.get('b.tar')!).subarray(0, 100));
    await expect(bed.fetch([`${server.url}/bad.tar.zst`])).rejects.toThrow('cannot fetch');
  });

  whenHas('zip', 'unzip')('a zip is unpacked', async () => {
    pack('a.zip', 'zip', '-qry', 'a.zip', 'tree');
    const sandbox = await bed.fetch([`${server.url}/a.zip`]);
    expect(tree(sandbox)).toEqual(['a.zip 644 65534', ...unpacked]);
  });

  whenHas('gzip')('a gzipped file that is no archive is unpacked beside itself', async () => {
    pack('tree/file.gz', 'gzip', '-k', 'tree/file');
    files.set('file.gz', files.get('tree/file.gz')!);
    rmSync(join(source, 'tree/file.gz'));
    const sandbox = await bed.fetch([{ value: `${server.url}/file.gz`, outputFile: 'd/file.gz' }]);
    expect(contentOf(sandbox, 'd/file')).toBe('content');
  });

  whenHas('tar')('nothing is unpacked when that is not wanted, or the file is to be executed', async () => {
    pack('c.tar', 'tar', '-cf', 'c.tar', 'tree');
    for (const more of [{ extract: false }, { executable: true }]) {
      expect(tree(await bed.fetch([{ value: `${server.url}/c.tar`, ...more }]))).toHaveLength(1);
    }
  });

  whenHas('tar')('a damaged archive fails the fetch, with what tar says', async () => {
    files.set('damaged.tar.gz', Buffer.from('this is no archive'));
    await expect(bed.fetch([`${server.url}/damaged.tar.gz`])).rejects.toThrow(
      /tar ended with exit code 2: .*not in gzip format|tar ended with/,
    );
  });
});

/** A tar of entries that no honest program would write. */
function tar(
  ...entries: {
    name: string;
    type?: string;
    link?: string;
    content?: string;
    mode?: number;
    device?: [number, number];
  }[]
): Buffer {
  const blocks = entries.flatMap(({ name, type = '0', link = '', content = '', mode = 0o644, device }) => {
    const head = Buffer.alloc(512);
    const octal = (value: number, length: number, at: number) =>
      head.write(value.toString(8).padStart(length - 1, '0'), at);
    head.write(name, 0);
    octal(mode, 8, 100);
    octal(0, 8, 108);
    octal(0, 8, 116);
    octal(content.length, 12, 124);
    octal(0, 12, 136);
    head.write('        ', 148);
    head.write(type, 156);
    head.write(link, 157);
    head.write('ustar\x0000', 257, 'latin1');
    octal(device?.[0] ?? 0, 8, 329);
    octal(device?.[1] ?? 0, 8, 337);
    octal(
      head.reduce((sum, byte) => sum + byte, 0),
      7,
      148,
    );
    const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
    body.write(content);
    return [head, body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

describe('hostile archives', () => {
  let outside: string;
  const evil = 'written by the archive';
  const attempts: [name: string, archive: () => Buffer][] = [
    [
      'a path with ".."',
      () => tar({ name: `../../outside`, content: evil }, { name: 'a/../../../outside', content: evil }),
    ],
    ['an absolute path', () => tar({ name: outside, content: evil })],
    [
      'a file through a symbolic link',
      () =>
        tar({ name: 'l', type: '2', link: outside.replace(/\/outside$/, '') }, { name: 'l/outside', content: evil }),
    ],
    [
      'a file through a link to "/"',
      () => tar({ name: 'l', type: '2', link: '/' }, { name: `l${outside}`, content: evil }),
    ],
    ['a file over a symbolic link', () => tar({ name: 'l', type: '2', link: outside }, { name: 'l', content: evil })],
    ['a hard link to a file outside', () => tar({ name: 'h', type: '1', link: outside }, { name: 'h', content: evil })],
    [
      'a hard link through a symbolic link',
      () =>
        tar({ name: 'l', type: '2', link: outside }, { name: 'h', type: '1', link: 'l' }, { name: 'h', content: evil }),
    ],
    [
      'a directory through a relative link',
      () => tar({ name: 'a', type: '2', link: '../..' }, { name: 'a/new', type: '5', mode: 0o777 }),
    ],
  ];
  const prepare = (): void => {
    outside = join(bed.directory, 'outside');
    // Writable by everybody: only where the archive is unpacked keeps it away.
    execFileSync('chmod', ['777', bed.directory, join(bed.directory, 'sandboxes')]);
    writeFileSync(outside, 'untouched', { mode: 0o666 });
    execFileSync('chmod', ['666', outside]);
  };

  for (const [index, [name, archive]] of attempts.entries()) {
    whenHas('tar')(`${name} changes nothing outside of the sandbox`, async () => {
      prepare();
      files.set(`evil${index}.tar`, archive());
      const sandbox = bed.sandbox();
      await bed.fetch([`${server.url}/evil${index}.tar`], { sandbox }).catch(() => {});
      expect(readFileSync(outside, 'utf8')).toBe('untouched');
      expect(lstatSync(outside).nlink).toBe(1);
      expect(existsSync(join(bed.directory, 'new'))).toBe(false);
      expect(existsSync(join(bed.directory, 'sandboxes/new'))).toBe(false);
    });
  }

  whenHas('tar')('a probe of the probe: the same archive unpacked plainly by the same user does write outside', () => {
    prepare();
    const sandbox = bed.sandbox();
    const [linked, through] = [
      tar({ name: 'l', type: '2', link: bed.directory }),
      tar({ name: 'l/outside', content: evil }),
    ];
    for (const archive of [linked, through]) {
      // --keep-directory-symlink: as tars do that do not distrust what is there.
      spawnSync('tar', ['-x', '--keep-directory-symlink', '-P', '-f', '-'], {
        input: archive,
        cwd: sandbox,
        uid: 65534,
        gid: 65534,
      });
    }
    // tar replaces the file: its directory is writable.
    expect(readFileSync(outside, 'utf8')).toBe(evil);
  });

  whenHas('tar')('links that an earlier archive planted lead a later file nowhere', async () => {
    prepare();
    files.set(
      'plant.tar',
      tar({ name: 'd', type: '2', link: bed.directory }, { name: 'up', type: '2', link: '../..' }),
    );
    const sandbox = await bed.fetch([`${server.url}/plant.tar`]);
    expect(readlinkSync(join(sandbox, 'd'))).toBe(bed.directory);
    files.set('outside', Buffer.from(evil));
    for (const directory of ['d', 'up']) {
      const uri = { value: `${server.url}/outside`, outputFile: `${directory}/outside` };
      await expect(bed.fetch([uri], { sandbox })).rejects.toThrow('cannot fetch');
    }
    expect(readFileSync(outside, 'utf8')).toBe('untouched');
  });

  whenHas('tar')('device files are not made, and set-user-ID bits give nobody anything', async () => {
    files.set('device.tar', tar({ name: 'disk', type: '4', device: [8, 0], mode: 0o666 }));
    await expect(bed.fetch([`${server.url}/device.tar`])).rejects.toThrow(/mknod.*not permitted/i);
    files.set('setuid.tar', tar({ name: 'suid', content: '#!/bin/sh\n', mode: 0o6755 }));
    const sandbox = await bed.fetch([`${server.url}/setuid.tar`]);
    expect(lstatSync(join(sandbox, 'suid')).uid).toBe(65534);
  });

  whenHas('tar')('a program in the sandbox is not taken for the decompressor', async () => {
    const sandbox = bed.sandbox();
    writeFileSync(join(sandbox, 'gzip'), '#!/bin/sh\n>pwned\n', { mode: 0o755 });
    pack('d.tar.gz', 'tar', '-czf', 'd.tar.gz', 'tree');
    await bed.fetch([`${server.url}/d.tar.gz`], { sandbox });
    expect(existsSync(join(sandbox, 'pwned'))).toBe(false);
  });

  whenHas('zip', 'unzip')('a zip with ".." in its names is refused or stays inside', async () => {
    prepare();
    const honest = 'aa/bb/outside';
    mkdirSync(join(source, 'aa/bb'), { recursive: true });
    writeFileSync(join(source, honest), evil);
    pack('e.zip', 'zip', '-qr', 'e.zip', honest);
    const zip = files
      .get('e.zip')!
      .toString('latin1')
      .replaceAll(honest, '../../outside'.padStart(honest.length, '/'))
      .replaceAll('aa/bb/', '../../');
    files.set('evil.zip', Buffer.from(zip, 'latin1'));
    await bed.fetch([`${server.url}/evil.zip`]).catch(() => {});
    expect(readFileSync(outside, 'utf8')).toBe('untouched');
  });
});
