/** Every operation is made to fail: the failure names it, and nothing is left behind. */

import { link, mkdir, readdir, readFile, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LaunchFailed } from '../../../runtime/launcher/client.ts';
import type { LaunchRequest, Operation } from '../../../runtime/launcher/operations.ts';
import { type Bed, eventually, exists, makeBed, mountsBelow } from './harness.ts';

let bed: Bed;
beforeAll(async () => {
  bed = await makeBed();
});
afterAll(() => bed.close());

async function failureOf(request: LaunchRequest): Promise<LaunchFailed> {
  const error = await bed.launcher.launch(request).then(
    () => new Error('it started'),
    (reason: Error) => reason,
  );
  if (!(error instanceof LaunchFailed)) throw error;
  return error;
}

async function expectNothingLeft(request: LaunchRequest): Promise<void> {
  const files = await readdir(dirname(request.exitRecord)).catch(() => []);
  expect(files.filter((name) => name.includes('exit'))).toEqual([]);
  expect(await mountsBelow(bed.dir)).toEqual([]);
  // The supervisor says what failed before it ends itself.
  await eventually(async () => (await bed.launcher.list()).length === 0, 'the end of the supervisor');
  expect(await exists(`${bed.dir}/run/containers/${request.containerId}`)).toBe(false);
}

const none = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };
const user: Operation = { op: 'user', uid: 1000, gid: 1000, groups: [] };
/** A jump to nowhere: the kernel refuses the program. */
const badProgram = Uint8Array.from([0x05, 0, 0, 0, 0xff, 0, 0, 0]);
const loop: Operation = { op: 'symlink', target: 'loop', path: '/tmp/loop' };
const ENOENT = 2;
const EPERM = 1;
const EINVAL = 22;
const ELOOP = 40;

/** The last operation of each fails; those before it prepare that. */
const failing: [string, Operation[], number][] = [
  ['joinCgroup', [{ op: 'joinCgroup', path: '/sys/fs/cgroup/none/tasks' }], ENOENT],
  [
    'mount of an unknown file system',
    [{ op: 'mount', source: 'x', target: '/tmp', fstype: 'nosuchfs', flags: [] }],
    19,
  ],
  ['mount on a missing target', [{ op: 'mount', source: 'x', target: '/none', fstype: 'tmpfs', flags: [] }], ENOENT],
  [
    'mount with bad data',
    [{ op: 'mount', source: 'x', target: '/tmp', fstype: 'tmpfs', flags: [], data: 'size=many' }],
    EINVAL,
  ],
  ['bind of a missing source', [{ op: 'mount', source: '/none', target: '/tmp', flags: ['rbind', 'ro'] }], ENOENT],
  ['bind of a file on a directory', [{ op: 'mount', source: '/etc/passwd', target: '/tmp', flags: ['bind'] }], EINVAL],
  ['remount of no mount', [{ op: 'mount', source: '', target: '/etc', flags: ['bind', 'remount', 'ro'] }], EINVAL],
  ['propagation of no mount', [{ op: 'mount', source: '', target: '/etc', flags: ['rprivate'] }], EINVAL],
  ['setMountAttributes', [{ op: 'setMountAttributes', target: '/etc', set: ['ro'], recursive: true }], EINVAL],
  ['mkdir', [{ op: 'mkdir', path: '/etc/passwd/x', mode: 0o755 }], 20],
  ['createFile', [{ op: 'createFile', path: '/none/x', mode: 0o644 }], ENOENT],
  ['symlink', [{ ...loop, path: '/missing/loop' }], 2],
  ['mknod', [{ op: 'mknod', path: '/none/x', type: 'c', major: 1, minor: 3, mode: 0o666 }], ENOENT],
  ['mask', [loop, { op: 'mask', path: '/tmp/loop' }], ELOOP],
  ['readOnly', [loop, { op: 'readOnly', path: '/tmp/loop' }], ELOOP],
  ['rlimit', [{ op: 'rlimit', resource: 7, soft: 1n << 40n, hard: 1n << 40n }], EPERM],
  ['user', [user, { ...user, uid: 0 }], EPERM],
  ['capabilities', [user, { op: 'capabilities', ...none }, { op: 'capabilities', ...none, permitted: [0] }], EPERM],
  ['seccomp in place', [{ op: 'seccomp', program: badProgram }], EINVAL],
  ['seccomp put off', [{ op: 'noNewPrivileges' }, { op: 'seccomp', program: badProgram }], EINVAL],
  ['workingDirectory', [{ op: 'workingDirectory', path: '/etc/passwd' }], 20],
];

describe.each([{ init: false }, { init: true }])('while it is carried out (init $init)', ({ init }) => {
  test.each(failing)('%s', async (_name, operations, errno) => {
    const request = await bed.request(['true'], { init });
    const first = operations[0]!.op === 'joinCgroup';
    // The prepared root is read-only but for /tmp; propagation and the like are tried in it.
    request.operations = first ? [...operations, ...request.operations] : [...request.operations, ...operations];
    const failure = await failureOf(request);
    const opIndex = first ? 0 : request.operations.length - 1;
    expect(failure).toMatchObject({ opIndex, op: operations.at(-1)!.op, errno });
    expect(failure.message).toMatch(/^operation \d+ \(\w+\): .+: [A-Z]/);
    await expectNothingLeft(request);
  });
});

test.each([
  ['a missing root', [{ op: 'enterRoot', path: '/none' }], 'enterRoot', ENOENT],
  ['a root that is no mount point', [{ op: 'enterRoot', path: '/etc' }], 'enterRoot', EINVAL],
  ['the root that is there already', [{ op: 'enterRoot', path: '/' }, { op: 'pivotRoot' }], 'pivotRoot', 16],
] as [string, Operation[], string, number][])('%s', async (_name, operations, op, errno) => {
  const request = await bed.request(['true'], { operations });
  expect(await failureOf(request)).toMatchObject({ op, errno, opIndex: operations.length - 1 });
  await expectNothingLeft(request);
});

describe('outside of operations', () => {
  test.each([
    ['a command that is nowhere in PATH', ['nosuchcommand'], ENOENT, /nosuchcommand was not found in PATH \/usr/],
    ['a path that does not exist', ['/no/such'], ENOENT, /\/no\/such/],
    ['a file that is not executable', ['/etc/passwd'], 13, /\/etc\/passwd may not be executed/],
    ['a directory', ['/etc'], 13, /\/etc/],
  ])('%s', async (_name, argv, errno, message) => {
    for (const init of [false, true]) {
      const request = await bed.request(argv, { init });
      const failure = await failureOf(request);
      expect(failure).toMatchObject({ step: 'exec', errno, opIndex: undefined });
      expect(failure.message).toMatch(message);
      await expectNothingLeft(request);
    }
  });

  test('a script without an interpreter, and one whose interpreter is missing', async () => {
    const request = await bed.request(['/tmp/script']);
    request.operations.push({ op: 'createFile', path: '/tmp/script', mode: 0o755, content: 'echo hello\n' });
    expect(await failureOf(request)).toMatchObject({ errno: 8, message: expect.stringMatching(/script with #!/) });
    const other = await bed.request(['/tmp/script']);
    other.operations.push({ op: 'createFile', path: '/tmp/script', mode: 0o755, content: '#!/none\n' });
    expect(await failureOf(other)).toMatchObject({ errno: 2, message: expect.stringMatching(/interpreter/) });
  });

  test('an exit record that is there already is taken when it is an empty file, and refused otherwise', async () => {
    const request = await bed.request(['sh', '-c', 'exit 4']);
    const EEXIST = 17;
    const refused = { step: 'exitRecord', errno: EEXIST };
    const named = (name: string) => ({ ...request, containerId: `${request.containerId}-${name}` });
    await writeFile(request.exitRecord, 'something');
    expect(await failureOf(named('full'))).toMatchObject(refused);
    expect(await readFile(request.exitRecord, 'utf8')).toBe('something');
    await rm(request.exitRecord);
    await symlink('/dev/null', request.exitRecord);
    expect(await failureOf(named('symlink'))).toMatchObject({ step: 'exitRecord', errno: ELOOP });
    await rm(request.exitRecord);
    await writeFile(request.exitRecord, '');
    await link(request.exitRecord, `${request.exitRecord}-too`);
    expect(await failureOf(named('link'))).toMatchObject(refused);
    await rm(`${request.exitRecord}-too`);
    await bed.launcher.launch(request);
    expect(await bed.exit(request.containerId)).toMatchObject({ exitCode: 4 });
    expect(JSON.parse(await readFile(request.exitRecord, 'utf8'))).toMatchObject({ exitCode: 4 });
  });

  test('no directory for the exit record, the log, the cgroup', async () => {
    const request = await bed.request(['true']);
    expect(await failureOf({ ...request, exitRecord: '/none/exit' })).toMatchObject({
      step: 'exitRecord',
      errno: ENOENT,
    });
    expect(
      await failureOf({ ...request, containerId: 'b1', stdout: { ...request.stdout, path: '/none/stdout' } }),
    ).toMatchObject({ step: 'log', errno: ENOENT });
    expect(await failureOf({ ...request, containerId: 'b2', cloneIntoCgroup: '/sys/fs/cgroup/none' })).toMatchObject({
      step: 'open',
      errno: ENOENT,
    });
    await expectNothingLeft(request);
  });

  test('a launch that hangs is ended by KILL', async () => {
    if (!(await exists('/sys/fs/cgroup/freezer/tasks'))) return; // on v2 a frozen process is one that KILL ends at once
    // A process that joins a frozen cgroup stops there. v1 keeps even killed ones until the thaw.
    const group = `/sys/fs/cgroup/freezer/tepui-test-${process.pid}`;
    await mkdir(group);
    await writeFile(`${group}/freezer.state`, 'FROZEN');
    for (const init of [false, true]) {
      const request = await bed.request(['true'], { init });
      request.operations.unshift({ op: 'joinCgroup', path: `${group}/tasks` });
      const result = failureOf(request);
      await eventually(async () => (await readFile(`${group}/tasks`, 'utf8')) !== '', 'the process to be stopped');
      expect(await bed.launcher.signal(request.containerId, 9)).toBe(1);
      await writeFile(`${group}/freezer.state`, 'THAWED');
      expect(await result).toMatchObject({ step: 'supervise' });
      await expectNothingLeft(request);
      expect(await readFile(`${group}/tasks`, 'utf8')).toBe('');
      await writeFile(`${group}/freezer.state`, 'FROZEN');
    }
    await writeFile(`${group}/freezer.state`, 'THAWED');
    await rmdir(group);
  });
});

describe('before anything is carried out, the request is refused', () => {
  const root = { op: 'enterRoot', path: '/x' } as const;
  test.each([
    ['a path with ..', [{ op: 'mkdir', path: '/a/../b', mode: 0o755 }], /'\.\.'/],
    ['a path that ends with ..', [{ op: 'mkdir', path: '/a/..', mode: 0o755 }], /'\.\.'/],
    ['a relative path', [{ op: 'mask', path: 'proc' }], /not absolute/],
    ['a relative bind source', [{ op: 'mount', source: 'a', target: '/b', flags: ['bind'] }], /source/],
    [
      'an attribute on a propagation',
      [{ op: 'mount', source: '', target: '/', flags: ['rslave', 'ro'] }],
      /propagation/,
    ],
    ['a mount of nothing', [{ op: 'mount', source: 'a', target: '/b', flags: [] }], /neither/],
    ['a host name with spaces', [{ op: 'hostname', name: 'a b' }], /host name/],
    ['a soft limit above the hard one', [{ op: 'rlimit', resource: 7, soft: 2n, hard: 1n }], /soft limit/],
    ['an unknown limit', [{ op: 'rlimit', resource: 99, soft: 1n, hard: 1n }], /resource/],
    ['an empty filter', [{ op: 'seccomp', program: new Uint8Array() }], /program/],
    ['half an instruction', [{ op: 'seccomp', program: new Uint8Array(12) }], /program/],
    ['effective capabilities that are not permitted', [{ op: 'capabilities', ...none, effective: [1] }], /permitted/],
    ['a capability of the future', [{ op: 'capabilities', ...none, bounding: [62] }], /unknown/],
    ['a late joinCgroup', [root, { op: 'joinCgroup', path: '/c' }], /before anything else/],
    ['a second root', [root, root], /entered already/],
    ['a pivot without a root', [{ op: 'pivotRoot' }], /enterRoot/],
    ['a strange mode', [{ op: 'mkdir', path: '/a', mode: 0o100000 }], /mode/],
  ] as [string, Operation[], RegExp][])('%s', async (_name, operations, message) => {
    const request = await bed.request(['true'], { operations });
    const failure = await failureOf(request);
    expect(failure.message).toMatch(message);
    expect(failure.errno).toBe(0);
    expect(failure.opIndex).toBe(operations.length - 1);
    await expectNothingLeft(request);
  });

  test('what would change the host: mounts without a mount namespace, and so on', async () => {
    const request = await bed.request(['true'], { operations: [{ op: 'mask', path: '/proc' }] });
    const refusal = async (operations: Operation[], namespaces: Partial<LaunchRequest['namespaces']>) =>
      (await failureOf({ ...request, operations, namespaces: { ...request.namespaces, ...namespaces } })).message;
    expect(await refusal([{ op: 'mask', path: '/proc' }], { mount: false })).toMatch(/mount namespace/);
    expect(await refusal([{ op: 'hostname', name: 'a' }], { uts: false })).toMatch(/UTS namespace/);
    expect(await refusal([{ op: 'loopbackUp' }], { network: false })).toMatch(/network namespace/);
  });

  test('malformed parts of the request itself', async () => {
    const request = await bed.request(['true']);
    const refusal = async (change: Partial<LaunchRequest>) => (await failureOf({ ...request, ...change })).message;
    expect(await refusal({ containerId: '../x' })).toMatch(/container id/);
    expect(await refusal({ containerId: 'x'.repeat(129) })).toMatch(/container id/);
    expect(await refusal({ argv: [] })).toMatch(/command is missing/);
    expect(await refusal({ argv: [''] })).toMatch(/command is missing/);
    expect(await refusal({ env: { '': 'x' } })).toMatch(/NAME=value/);
    expect(await refusal({ exitRecord: 'exit' })).toMatch(/absolute/);
    expect(await refusal({ init: true, namespaces: { ...request.namespaces, pid: false } })).toMatch(/pid namespace/);
    await expect(bed.launcher.launch({ ...request, argv: ['a\0b'] })).rejects.toThrow(/NUL/);
    await expect(bed.launcher.launch({ ...request, argv: ['x'.repeat(5 << 20)] })).rejects.toThrow(/too long/);
  });
});
