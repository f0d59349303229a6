/**
 * The control of these tests: outside of a container the hostile program's attempts do get through, so that what refuses them inside is the
 * container. It runs as root with all capabilities and without a filter, in throwaway namespaces and on a root of its own.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { runConfined } from '../../../runtime/launcher/exec.ts';
import type { Operation } from '../../../runtime/launcher/operations.ts';
import { staticBusybox } from '../../setup/busybox.ts';
import { cgroupVersion, root, startNode } from '../containerizers/harness.ts';
import { buildProbe, runHostile } from './probe.ts';

const busybox = staticBusybox();
const missing = process.getuid?.() !== 0 ? 'needs root' : 'why' in busybox ? busybox.why : undefined;
const describeIf = missing ? describe.skip : describe;

/** What the program cannot do outside either: the kernel may be built without it, or an earlier attempt of the program is in its way. */
const exceptions: Record<string, string[]> = {
  ...Object.fromEntries(
    ['x32-mount', 'i386-unshare', 'kexec_load', 'kexec_file_load', 'init_module', 'finit_module', 'delete_module'].map(
      (name) => [name, ['ENOSYS']],
    ),
  ),
  ...Object.fromEntries(
    ['iopl', 'ioperm', 'userfaultfd', 'io_uring_setup', 'kcmp', 'bpf'].map((name) => [name, ['ENOSYS']]),
  ),
  // By then a sysfs is mounted there.
  'mknod-disk': ['EPERM'],
};

describeIf(`outside of a container (${missing ?? 'root'})`, () => {
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync('/var/lib/tepui-escape-');
    mkdirSync(join(directory, 'root'));
    copyFileSync(await buildProbe(), join(directory, 'probe'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  async function run(script: string, { cgroup = true } = {}): Promise<Map<string, string>> {
    const file = (source: string, target: string): Operation[] => [
      { op: 'createFile', path: target, mode: 0o755 },
      { op: 'mount', source, target, flags: ['bind'] },
    ];
    const session = await runConfined(
      await buildLauncher(),
      {
        containerId: 'outside',
        namespaces: { mount: true, pid: true, ipc: true, uts: true, cgroup, network: true },
        operations: [
          { op: 'mount', source: 'none', target: '/', flags: ['rprivate'] },
          { op: 'mount', source: 'tmpfs', target: join(directory, 'root'), fstype: 'tmpfs', flags: [] },
          { op: 'enterRoot', path: join(directory, 'root') },
          ...['/bin', '/proc', '/tmp', '/dev', '/usr', '/run'].map(
            (path): Operation => ({ op: 'mkdir', path, mode: 0o755 }),
          ),
          { op: 'mount', source: 'proc', target: '/proc', fstype: 'proc', flags: [] },
          ...file(join(directory, 'probe'), '/probe'),
          ...file('path' in busybox ? busybox.path : '', '/bin/busybox'),
          { op: 'pivotRoot' },
        ],
        argv: ['/bin/busybox', 'sh', '-c', script],
        env: { PATH: '/bin' },
      },
      { stdin: false },
    );
    session.stderr?.on('data', (chunk) => process.stderr.write(chunk));
    const lines = (await text(session.stdout)).trim().split('\n');
    await session.exit;
    return new Map(lines.map((line) => line.split(' ') as [string, string]));
  }

  test('every system call that a container is refused gets further, and what refuses it in there is another reason', async () => {
    const outside = await run('/probe syscalls; true');
    const notOutside = [...outside].filter(
      ([name, outcome]) =>
        ['EPERM', 'EACCES', 'ENOSYS', 'EROFS'].includes(outcome) && !exceptions[name]?.includes(outcome),
    );
    expect(notOutside).toEqual([]);
    expect(outside.size).toBeGreaterThanOrEqual(80);
    const node = await startNode();
    try {
      const { stdout } = await runHostile(node, './probe syscalls', { user: root });
      const inside = stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ') as [string, string]);
      expect(inside.map(([name]) => name)).toEqual([...outside.keys()]);
      const same = inside.filter(([name, outcome]) => outside.get(name) === outcome && !(name in exceptions));
      expect(same).toEqual([]);
    } finally {
      await node.close();
    }
  });

  test('files of the kernel that a container cannot write can be opened for writing', async () => {
    const paths = [
      '/proc/sys/kernel/core_pattern',
      '/proc/sys/kernel/modprobe',
      '/proc/sysrq-trigger',
      '/proc/sys/vm/drop_caches',
    ];
    const outcomes = await run(
      `for f in ${paths.join(' ')}; do { true >> $f; } 2>/dev/null && echo "$f written"; done; true`,
    );
    expect([...outcomes.keys()]).toEqual(expect.arrayContaining(paths.filter((path) => existsSync(path))));
  });

  (cgroupVersion === 'v2' ? test.skip : test)(
    'a cgroup hierarchy of v1 can be mounted, and its release_agent opened for writing',
    async () => {
      const outcomes = await run(
        'mount -t cgroup -o memory none /tmp && cd /tmp && ( : >> release_agent ) && echo "release_agent written"; true',
        { cgroup: false },
      );
      expect([...outcomes]).toEqual([['release_agent', 'written']]);
    },
  );

  test('a chroot is left', async () => {
    const outcomes = await run('mkdir /inside; cd /inside; /probe chroot /probe; true');
    expect([...outcomes]).toEqual([['chroot-escape', 'ok']]);
  });
});
