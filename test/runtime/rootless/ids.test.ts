import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { isMapped, parseIdMap } from '../../../runtime/rootless/ids.ts';
import { livingProcesses } from '../../../runtime/rootless/living.ts';
import { isOwnUserNamespace } from '../../../runtime/rootless/state.ts';
import { rangesOf, readIdMaps } from '../../../runtime/rootless/subordinate-ids.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-ids-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const alice = { uid: 1000, gid: 1001, name: 'alice' };

function sources(subuid: string, subgid: string, programs: string[] = ['newuidmap', 'newgidmap'], mode = 0o755) {
  writeFileSync(join(directory, 'subuid'), subuid);
  writeFileSync(join(directory, 'subgid'), subgid);
  for (const name of programs) {
    writeFileSync(join(directory, name), '');
    chmodSync(join(directory, name), mode);
  }
  return { subuid: join(directory, 'subuid'), subgid: join(directory, 'subgid'), directories: [directory] };
}

const ownId = { uids: '0:1000:1', gids: '0:1001:1' };
const asRoot = process.getuid?.() === 0 ? test : test.skip; // a program of root's is made

describe('the ids of a user', () => {
  test('are read by name and by number, and nothing else is taken for a range', () => {
    const text = '# no\nbob:5:5\nalice:100000:65536\n1000:300000:10\nalice:0:5\nalice:x:5\nalice:7\nalice2:1:1\n';
    expect(rangesOf(alice, text)).toEqual([
      { first: 100000, count: 65536 },
      { first: 300000, count: 10 },
    ]);
  });

  asRoot('follow his own, which is root, where both files and both programs are there', () => {
    const maps = readIdMaps(alice, sources('alice:100000:65536\nalice:300000:10\n', 'alice:200000:65536\n'));
    expect(maps).toMatchObject({ uids: '0:1000:1,1:100000:65536,65537:300000:10', gids: '0:1001:1,1:200000:65536' });
    expect(maps.programs?.newuidmap).toBe(join(directory, 'newuidmap'));
  });

  test.each([
    ['no range of groups', () => sources('alice:100000:65536\n', '')],
    ['no program', () => sources('alice:100000:65536\n', 'alice:100000:65536\n', ['newuidmap'])],
    ['a program that others may change', () => sources('alice:1:2\n', 'alice:1:2\n', undefined, 0o777)],
  ])('are his own alone with %s', (_, given) => {
    expect(readIdMaps(alice, given())).toEqual(ownId);
  });
});

describe('the ids of a process', () => {
  test('are those of its map', () => {
    expect(parseIdMap('         0       1000          1\n         1     100000      65536\n')).toEqual([
      { first: 0, count: 1 },
      { first: 1, count: 65536 },
    ]);
    expect(isMapped('uid', 0)).toBe(true);
  });

  test('are all in the first user namespace, and only there', () => {
    const map = join(directory, 'uid_map');
    for (const [text, isOwn] of [
      ['         0          0 4294967295\n', false],
      ['         0       1000          1\n', true],
      ['         0          0      65536\n', true],
    ] as const) {
      writeFileSync(map, text);
      expect(isOwnUserNamespace(map)).toBe(isOwn);
    }
  });
});

test('processes of an earlier agent are known by pid and start time: another process with the pid is none of them', () => {
  const start = startTime(process.pid);
  writeFileSync(join(directory, 'launcher'), `${process.pid} ${start}\n`);
  expect(livingProcesses(directory)).toEqual([`${process.pid}:${start}`]);
  writeFileSync(join(directory, 'launcher'), `${process.pid} ${Number(start) + 1}\n`);
  expect(livingProcesses(directory)).toEqual([]);
  writeFileSync(join(directory, 'launcher'), 'nonsense');
  expect(livingProcesses(join(directory, 'none'))).toEqual([]);
});

function startTime(pid: number): string {
  const stat = process.getBuiltinModule('node:fs').readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
}
