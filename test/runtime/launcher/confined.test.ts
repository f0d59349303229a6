/** Helpers in namespaces of their own. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type ConfinedRequest, runConfined } from '../../../runtime/launcher/exec.ts';
import { type Bed, eventually, isolated, makeBed, mountsBelow, processesWith } from './harness.ts';

// The first test of a machine compiles the launcher, which takes its time on a busy one.
jest.setTimeout(120_000);

const bedNamespaces = { mount: true, pid: true, ipc: true, uts: true, cgroup: true, network: true };
let bed: Bed;
let root: string;
beforeAll(async () => {
  bed = await makeBed();
  root = join(bed.dir, 'root');
  await mkdir(root);
});
afterAll(() => bed.close());

const run = (argv: string[], change: Partial<ConfinedRequest> = {}, options?: { stdin?: boolean }) =>
  runConfined(
    bed.launcher.binary,
    {
      containerId: 'helper',
      namespaces: bedNamespaces,
      operations: isolated(root),
      argv,
      env: { PATH: '/usr/bin:/bin' },
      ...change,
    },
    options,
  );

test('it has its own namespaces, reads its input, and tells its exit code; no container and no mount is left', async () => {
  const session = await run(['sh', '-c', 'cat; hostname; echo $$; exit 3']);
  session.stdin!.end('input\n');
  expect(await text(session.stdout)).toBe('input\nbox\n1\n');
  expect(await session.exit).toEqual({ exitCode: 3 });
  expect(await bed.launcher.list()).toEqual([]);
  expect(await mountsBelow(bed.dir)).toEqual([]);
});

test('a failing operation is told by its name', async () => {
  const operations = [...isolated(root), { op: 'workingDirectory' as const, path: '/nowhere' }];
  await expect(run(['true'], { operations })).rejects.toMatchObject({ op: 'workingDirectory', errno: 2 });
});

test('it is killed with everything it started, also in another session', async () => {
  const mark = `300${process.pid}.25`;
  const session = await run(['sh', '-c', `setsid sleep ${mark} & sleep ${mark}`], {}, { stdin: false });
  await eventually(async () => (await processesWith(`sleep\0${mark}`)).length === 2, 'both');
  session.signal(9);
  expect(await session.exit).toEqual({ signal: 9 });
  await eventually(async () => (await processesWith(mark)).length === 0, 'both to be gone');
});

test('a launcher that cannot be run is told', async () => {
  const request = { containerId: 'x', namespaces: bedNamespaces, operations: [], argv: ['true'], env: {} };
  await expect(runConfined('/no/such/launcher', request)).rejects.toThrow('the launcher cannot be run');
  await expect(runConfined('/bin/true', request)).rejects.toThrow('before the command ran');
});

test('what only a supervised container can have is refused', async () => {
  // The type does not allow it; the wire would.
  const request = { init: true } as Partial<ConfinedRequest>;
  await expect(run(['true'], request)).rejects.toThrow('only namespaces and input can be asked for here');
});
