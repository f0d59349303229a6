import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  allHierarchies,
  removeEmptyRoot,
  removeEverywhere,
  removeSharedGroups,
} from '../../../runtime/cgroups/leftovers.ts';

const testIf = process.getuid?.() === 0 ? test : test.skip;
const hierarchies = allHierarchies();

let top: string;
let root: string;
beforeEach(() => {
  top = `tepui-test-${randomBytes(4).toString('hex')}`;
  root = `${top}/node`;
});
let sleeper: ChildProcess | undefined;
afterEach(async () => {
  sleeper?.kill('SIGKILL');
  sleeper = undefined;
  await removeEverywhere(top);
});

const make = (path: string) => {
  for (const hierarchy of hierarchies) mkdirSync(`${hierarchy}/${root}/${path}`, { recursive: true });
};
const present = (path: string) => hierarchies.filter((hierarchy) => existsSync(`${hierarchy}/${path}`));

test('hierarchies are those of this mount table, also without a controller', () => {
  const mountinfo = [
    '30 1 0:26 / /cg/memory rw - cgroup cgroup rw,memory',
    '31 1 0:27 / /cg/systemd rw - cgroup cgroup rw,name=systemd',
    '32 1 0:28 / /cg/unified rw - cgroup2 cgroup2 rw',
    '33 1 0:28 /below /elsewhere rw - cgroup2 cgroup2 rw',
    '34 1 0:29 / /proc rw - proc proc rw',
  ].join('\n');
  expect(allHierarchies(mountinfo)).toEqual(['/cg/memory', '/cg/systemd', '/cg/unified']);
});

testIf('what containers of a root shared goes with it, in every hierarchy', async () => {
  make('_shared/members');
  make('_launcher');
  await removeSharedGroups(root);
  expect(present(top)).toEqual([]);
});

testIf('a group of a container stays, and so does one in which somebody is', async () => {
  make('_launcher');
  sleeper = spawn('sleep', ['1000'], { stdio: 'ignore' });
  const [first] = hierarchies;
  writeFileSync(`${first}/${root}/_launcher/cgroup.procs`, String(sleeper.pid));
  await removeSharedGroups(root, 20);
  expect(present(`${root}/_launcher`)).toEqual([first]);
  make('0a-container');
  await removeSharedGroups(root, 20);
  removeEmptyRoot(root);
  expect(present(`${root}/0a-container`)).toEqual(hierarchies);
});
