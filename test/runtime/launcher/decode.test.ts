/** The decoder under AddressSanitizer and UBSan: whatever comes in, it answers and ends normally. */

import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { encodeExec, encodeLaunch } from '../../../runtime/launcher/encode.ts';
import type { LaunchRequest, Operation } from '../../../runtime/launcher/operations.ts';
import { hasCompiler, isolated } from './harness.ts';

const compiled = hasCompiler ? test : test.skip; // needs cc

let binary: string;
beforeAll(async () => {
  if (hasCompiler) binary = await buildLauncher({ sanitize: true });
}, 120_000);

async function check(frames: Buffer[]): Promise<string[]> {
  const child = spawn(binary, ['decode-check'], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {});
  child.stdin.end(Buffer.concat(frames));
  const exit = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out.split('\n').slice(0, -1);
}

const everyOperation: Operation[] = [
  { op: 'joinCgroup', path: '/sys/fs/cgroup/x/tasks' },
  { op: 'deviceRules', cgroup: '/sys/fs/cgroup/x', rules: [{ type: 'c', major: 1, minor: 3, access: 'rwm' }] },
  { op: 'joinNamespace', path: '/run/ipc', kinds: ['ipc'] },
  {
    op: 'overlay',
    target: '/other',
    layers: ['/a', '/b'],
    changes: { upper: '/c' },
    flags: ['nodev', 'idmap'],
    root: { mode: 0o755, uid: 1, gid: 2 },
  },
  ...isolated('/root'),
  { op: 'mount', source: '/a', target: '/c', flags: ['rbind', 'slave', 'idmap'] },
  { op: 'mount', source: '/a', target: '/c', flags: ['bind', 'peer'] },
  { op: 'mknod', path: '/dev/x', type: 'b', major: 1, minor: 2, mode: 0o600, uid: 3, gid: 4 },
  { op: 'mount', source: '/a', sourceBelow: '/b', target: '/c', flags: ['rbind', 'ro', 'noexec', 'noatime'] },
  { op: 'createFile', path: '/a', mode: 0o644, content: 'text' },
  { op: 'rlimit', resource: 7, soft: 1n, hard: 2n },
  { op: 'oomScoreAdj', value: -5 },
  { op: 'umask', mask: 0o77 },
  { op: 'userNamespace', owner: 100_001 },
  { op: 'user', uid: 1, gid: 2, groups: [3, 4] },
  { op: 'capabilities', bounding: [0, 40], effective: [1], permitted: [1], inheritable: [1], ambient: [1] },
  { op: 'noNewPrivileges' },
  { op: 'appArmorProfile', profile: 'some-profile' },
  { op: 'seccomp', program: new Uint8Array(16), flags: ['log'] },
  { op: 'workingDirectory', path: '/x' },
];
const sink = { path: '/a/b', maxBytes: 5, maxFiles: 2, uid: 0, gid: 0 };
const valid: LaunchRequest = {
  containerId: 'c1',
  namespaces: { mount: true, pid: true, ipc: false, uts: true, cgroup: true, network: true },
  init: true,
  userNamespace: { uids: { hostId: 100_000, size: 65_536 }, gids: { hostId: 100_000, size: 65_536 } },
  share: { pid: 7, startTimeTicks: 8 },
  operations: everyOperation,
  argv: ['sh', '-c', 'true'],
  env: { A: 'b', C: '' },
  stdout: sink,
  stderr: sink,
  exitRecord: '/a/exit',
};

compiled('a request with every operation decodes', async () => {
  expect(await check([encodeLaunch(valid, 1)])).toEqual([`ok ${everyOperation.length}`]);
  const exec = {
    containerId: 'c',
    pid: 5,
    startTimeTicks: 6,
    userNamespace: true,
    operations: everyOperation.slice(-9),
    argv: ['a'],
    env: {},
  };
  expect(await check([encodeExec(exec)])).toEqual(['ok 9']);
});

compiled('a request cut at any place is refused', async () => {
  const whole = encodeLaunch(valid, 1);
  const cuts = Array.from({ length: whole.length - 4 }, (_, length) => {
    const cut = Buffer.from(whole.subarray(0, 4 + length));
    cut.writeUInt32LE(length, 0);
    return cut;
  });
  const answers = await check(cuts);
  expect(answers).toHaveLength(cuts.length);
  expect(answers.filter((line) => line.startsWith('ok'))).toEqual([]);
});

compiled('bytes behind the last operation are refused', async () => {
  const whole = Buffer.concat([encodeLaunch(valid, 1), Buffer.from([0])]);
  whole.writeUInt32LE(whole.length - 4, 0);
  expect((await check([whole]))[0]).toMatch(/refused -1 there is something behind/);
});

compiled(
  'random frames, and valid ones with random changes, never harm it',
  async () => {
    const whole = encodeLaunch(valid, 1);
    const random = fc.uint8Array({ minLength: 0, maxLength: 300 }).map((bytes) => frameOf(Buffer.from(bytes)));
    const change = fc.record({
      at: fc.nat(whole.length - 5),
      value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 255, 127, 128)),
    });
    const changed = fc.array(change, { minLength: 1, maxLength: 6 }).map((changes) => {
      const copy = Buffer.from(whole);
      for (const { at, value } of changes) copy[4 + at] = value;
      return copy;
    });
    const frames = fc.sample(fc.oneof(random, changed), 20_000);
    expect(await check(frames)).toHaveLength(frames.length);
  },
  60_000,
);

compiled(
  'huge counts and lengths are refused without being believed',
  async () => {
    const whole = encodeLaunch(valid, 1);
    const frames: Buffer[] = [];
    for (let at = 4; at + 4 <= whole.length; at++) {
      for (const value of [0xffff_ffff, 0x7fff_ffff, 0x8000_0000, 0x1000_0000]) {
        const copy = Buffer.from(whole);
        copy.writeUInt32LE(value, at);
        frames.push(copy);
      }
    }
    expect(await check(frames)).toHaveLength(frames.length);
  },
  60_000,
);

function frameOf(body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length, 0);
  return Buffer.concat([length, body]);
}
