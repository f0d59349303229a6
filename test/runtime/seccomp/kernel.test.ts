/** The default profile in the kernel: containers make the system calls, and say what came back. */

import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { LaunchRequest, Operation } from '../../../runtime/launcher/operations.ts';
import {
  compileSeccompProfile,
  defaultSeccompProfile,
  parseSeccompProfile,
  type SeccompProfile,
} from '../../../runtime/seccomp/compile.ts';
import { loadSyscallNumbers } from '../../../runtime/seccomp/syscalls.ts';
import { type Bed, hasCompiler, makeBed } from '../launcher/harness.ts';

const run = promisify(execFile);
/** An errno that none of these calls gives by itself: it can only be the filter's. */
const REFUSED = 111;
const ENOSYS = 38;

let bed: Bed;
let numbers: Map<string, number>;
beforeAll(async () => {
  bed = await makeBed();
  numbers = await loadSyscallNumbers();
});
afterAll(() => bed.close());

const none = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };

async function filtered(
  argv: string[],
  profile: SeccompProfile,
  capabilities: string[] = [],
  rest: Partial<LaunchRequest> = {},
) {
  const program = await compileSeccompProfile({ ...profile, defaultReturns: 0x0005_0000 + REFUSED }, { capabilities });
  const request = await bed.request(argv, rest);
  const last: Operation[] = [{ op: 'capabilities', ...none }, { op: 'noNewPrivileges' }, { op: 'seccomp', program }];
  return bed.run(argv, { ...request, operations: [...request.operations, ...last] });
}

/** Makes each call and gives its errno, 0 when it worked. A number in place of a name is the number itself. */
async function errnos(
  calls: [string | number, ...number[]][],
  profile = defaultSeccompProfile(),
  capabilities: string[] = [],
): Promise<number[]> {
  const list = calls.map(
    ([name, ...args]) => `[${[typeof name === 'number' ? name : numbers.get(name), ...args].join(',')}]`,
  );
  // Perl passes numbers as they are; a null pointer is a 0.
  const script = `for my $c (${list.join(',')}) { $! = 0; my $r = syscall($c->[0], @$c[1..$#$c], (0) x (7 - @$c)); print $r == -1 ? $!+0 : 0, "\\n"; }`;
  const { record, stdout, stderr } = await filtered(['perl', '-e', script], profile, capabilities);
  expect({ record, stderr }).toMatchObject({ record: { exitCode: 0 }, stderr: '' });
  return stdout.trim().split('\n').map(Number);
}

describe('the default profile', () => {
  test('refuses what reaches into the kernel, the machine or other processes', async () => {
    const names =
      'kexec_load kexec_file_load bpf mount umount2 pivot_root fsopen fsmount move_mount open_tree mount_setattr ptrace keyctl add_key request_key userfaultfd perf_event_open reboot swapon swapoff init_module finit_module delete_module setns open_by_handle_at io_uring_setup io_uring_enter io_uring_register process_vm_readv process_vm_writev pidfd_getfd kcmp acct settimeofday clock_settime adjtimex sethostname setdomainname quotactl syslog vhangup chroot fanotify_init lookup_dcookie move_pages mbind'.split(
        ' ',
      );
    const results = await errnos(names.map((name) => [name]));
    expect(Object.fromEntries(names.map((name, i) => [name, results[i]]))).toEqual(
      Object.fromEntries(names.map((name) => [name, REFUSED])),
    );
  });

  test('refuses new namespaces, by clone, clone3 and unshare, but not the harmless uses of them', async () => {
    const flags = [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];
    expect(await errnos(flags.map((flag) => ['clone', flag | 17]))).toEqual(flags.map(() => REFUSED));
    expect(await errnos([...flags, 0x80].map((flag) => ['unshare', flag]))).toEqual(
      [...flags, 0x80].map(() => REFUSED),
    );
    expect(await errnos([['clone3'], ['unshare', 0x400], ['unshare', 0x200]])).toEqual([ENOSYS, 0, 0]);
  });

  test('looks at 64-bit arguments whole: the upper half does not hide a flag from it', async () => {
    expect(await errnos([['unshare', 2 ** 40 + 0x1000_0000]])).toEqual([REFUSED]);
  });

  test('lets open the usual sockets, and not those that reach past the container', async () => {
    expect(
      await errnos([
        ['socket', 1, 1],
        ['socket', 2, 2],
        ['socket', 16, 3],
      ]),
    ).toEqual([0, 0, 0]);
    expect(
      await errnos([
        ['socket', 38, 5],
        ['socket', 40, 1],
        ['socket', 44, 3],
      ]),
    ).toEqual([REFUSED, REFUSED, REFUSED]);
  });

  test('lets ask for the execution domain, and not switch off protections', async () => {
    expect(
      await errnos([
        ['personality', 0xffff_ffff],
        ['personality', 0],
        ['personality', 0x40000],
      ]),
    ).toEqual([0, 0, REFUSED]);
  });

  test('answers ENOSYS to a call of the future', async () => {
    expect(await errnos([[999], [100_000]])).toEqual([ENOSYS, ENOSYS]);
  });

  test('does not get in the way of ordinary programs', async () => {
    const script =
      'ls -la / >/dev/null && (echo a; echo b) | sort | wc -l && perl -e "use Socket; print getppid() > 0 ? 1 : 0; sleep 0; fork() or exit 0; wait; print 2" && sh -c "sleep 0.01 & wait" && cat /proc/self/status | grep Seccomp: | tr -d "\\t"';
    const { record, stdout, stderr } = await filtered(['sh', '-c', script], defaultSeccompProfile());
    expect({ record, stdout, stderr }).toMatchObject({
      record: { exitCode: 0 },
      stdout: '2\n12Seccomp:2\n',
      stderr: '',
    });
  });

  test('runs a JavaScript runtime, with its threads', async () => {
    const script =
      'const { Worker } = require("worker_threads"); new Worker("require(\\"fs\\").writeSync(1, \\"thread\\\\n\\")", { eval: true }).on("exit", () => require("dns").lookup("localhost", (e, a) => console.log(!!a)))';
    // A checkout below /tmp is not seen in a container, which has a /tmp of its own.
    const directory = mkdtempSync('/var/lib/tepui-test-node-');
    try {
      const node = join(directory, 'node');
      copyFileSync(process.execPath, node);
      const { stdout, stderr } = await filtered([node, '-e', script], defaultSeccompProfile(), [], { init: true });
      expect({ stdout, stderr }).toEqual({ stdout: 'thread\ntrue\n', stderr: '' });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('opens with a capability what that capability is for', async () => {
    const results = async (cap: string, name: string) => (await errnos([[name]], defaultSeccompProfile(), [cap]))[0];
    expect(await results('CAP_SYS_ADMIN', 'mount')).not.toBe(REFUSED);
    expect(await results('SYS_ADMIN', 'clone3')).not.toBe(ENOSYS);
    expect(await results('SYS_PTRACE', 'ptrace')).not.toBe(REFUSED);
    expect(await results('DAC_READ_SEARCH', 'open_by_handle_at')).not.toBe(REFUSED);
    expect(await results('SYS_CHROOT', 'mount')).toBe(REFUSED);
    expect(await results('SYS_ADMIN', 'keyctl')).toBe(REFUSED);
  });
});

test("errno, conditions and order of a profile of one's own are kept by the kernel", async () => {
  const arg = (index: number, value: number, op: string, valueTwo = 0) => ({ index, value, valueTwo, op });
  const profile = parseSeccompProfile(
    JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [
        {
          names: ['getpriority'],
          action: 'SCMP_ACT_ERRNO',
          errnoRet: 7,
          args: [arg(0, 5, 'SCMP_CMP_GT'), arg(1, 0x10, 'SCMP_CMP_MASKED_EQ', 0x10)],
        },
        {
          names: ['getpriority'],
          action: 'SCMP_ACT_ERRNO',
          errnoRet: 8,
          args: [arg(0, 9, 'SCMP_CMP_EQ'), arg(0, 11, 'SCMP_CMP_EQ')],
        },
        { names: ['getpriority'], action: 'SCMP_ACT_ERRNO', errnoRet: 9, args: [arg(0, 3, 'SCMP_CMP_LE')] },
        { names: ['getsid', 'nosuchcall'], action: 'SCMP_ACT_ERRNO' },
        { names: ['personality'], action: 'SCMP_ACT_KILL_PROCESS', args: [arg(0, 77, 'SCMP_CMP_EQ')] },
      ],
    }),
  );
  const allowing = { ...profile, defaultReturns: 0x7fff_0000 };
  const program = await compileSeccompProfile(allowing, { capabilities: [] });
  const request = await bed.request([]);
  const calls = [
    ['getpriority', 6, 0x30],
    ['getpriority', 6, 0x20],
    ['getpriority', 9, 0],
    ['getpriority', 11, 0],
    ['getpriority', 2, 0],
    ['getsid', 0],
    ['getpid'],
  ];
  const list = calls.map(([name, ...args]) => `[${[numbers.get(name as string), ...args].join(',')}]`);
  const script = `for my $c (${list.join(',')}) { $! = 0; my $r = syscall($c->[0], @$c[1..$#$c]); print $r == -1 ? $!+0 : 0, "\\n"; } $| = 1; syscall(${numbers.get('personality')}, 77); print "alive"`;
  const operations: Operation[] = [...request.operations, { op: 'noNewPrivileges' }, { op: 'seccomp', program }];
  const { record, stdout } = await bed.run(['perl', '-e', script], {
    ...request,
    argv: ['perl', '-e', script],
    operations,
  });
  expect(stdout.split('\n').slice(0, 7)).toEqual(['7', '22', '8', '8', '9', '1', '0']);
  expect(stdout).not.toContain('alive');
  expect(record).toMatchObject({ signal: 31 });
});

(process.arch === 'x64' && hasCompiler ? test : test.skip)(
  'a 32-bit system call kills the process, an x32 one answers ENOSYS (x86-64 only, needs cc)',
  async () => {
    const source = `${bed.dir}/old.c`;
    await writeFile(
      source,
      `#include <stdio.h>\n#include <unistd.h>\n#include <errno.h>
     int main(void) { errno = 0; syscall(0x40000000 + 39); printf("%d\\n", errno); fflush(stdout);
       int pid; __asm__ volatile("int $0x80" : "=a"(pid) : "0"(20)); printf("alive %d\\n", pid); }`,
    );
    await run('cc', ['-o', `${bed.dir}/old`, source]);
    const request = await bed.request([]);
    // The container's own /tmp hides the test's directory.
    request.operations.splice(3, 0, { op: 'mount', source: bed.dir, target: '/mnt', flags: ['bind', 'ro'] });
    const { record, stdout } = await filtered(['/mnt/old'], defaultSeccompProfile(), [], {
      operations: request.operations,
    });
    expect(stdout).toBe(`${ENOSYS}\n`);
    expect(record.signal).toBe(31);
  },
);
