import { describe, expect, test } from '@jest/globals';
import { toOci } from '../../../runtime/containerizers/oci/config.ts';
import type { LaunchRequest, Operation } from '../../../runtime/launcher/operations.ts';

const request = (operations: Operation[]): LaunchRequest => ({
  containerId: 'c',
  namespaces: { mount: true, pid: true, ipc: false, uts: true, cgroup: true, network: false },
  operations,
  argv: ['sleep', '1'],
  env: { A: 'b' },
  stdout: { path: '/s/stdout', maxBytes: 0, maxFiles: 0, uid: 0, gid: 0 },
  stderr: { path: '/s/stderr', maxBytes: 0, maxFiles: 0, uid: 0, gid: 0 },
  exitRecord: '/r',
});
const context = { rootMountPoint: '/root-here', cgroupsPath: '/tepui/x/c/payload' };

describe('from a launch request to an OCI configuration', () => {
  test('what builds the root stays with the launcher, in its order; /proc, /sys and /dev go to the runtime', () => {
    const root: Operation[] = [
      { op: 'mount', source: 'none', target: '/', flags: ['rprivate'] },
      { op: 'enterRoot', path: '/root-here' },
      { op: 'mkdir', path: '/usr', mode: 0o755 },
      { op: 'mount', source: '/usr', target: '/usr', flags: ['rbind', 'ro'] },
      { op: 'mask', path: '/etc/shadow' },
      { op: 'setMountAttributes', target: '/', set: ['ro'], recursive: false },
    ];
    const { config, operations } = toOci(
      request([
        ...root,
        { op: 'mount', source: 'proc', target: '/proc', fstype: 'proc', flags: ['nosuid'] },
        { op: 'mask', path: '/proc/kcore' },
        { op: 'readOnly', path: '/proc/sys' },
        { op: 'mkdir', path: '/dev/pts', mode: 0o755 },
        { op: 'mknod', path: '/dev/null', type: 'c', major: 1, minor: 3, mode: 0o666 },
        { op: 'mknod', path: '/dev/fuse', type: 'c', major: 10, minor: 229, mode: 0o600 },
        { op: 'pivotRoot' },
      ]),
      context,
    );
    expect(operations).toEqual(root);
    expect(config.mounts).toEqual([{ destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid'] }]);
    expect(config.linux).toMatchObject({ maskedPaths: ['/proc/kcore'], readonlyPaths: ['/proc/sys'] });
    expect(config.linux.devices.map(({ path }) => path)).toEqual(['/dev/fuse']);
    expect(config.linux.resources.devices).toEqual([
      { allow: false, access: 'rwm' },
      { allow: true, type: 'c', major: 10, minor: 229, access: 'rw' },
    ]);
    expect(config.linux.namespaces.map(({ type }) => type)).toEqual(['mount', 'pid', 'uts', 'cgroup']);
    expect(config.root).toEqual({ path: '/root-here', readonly: true });
  });

  test('a container sees our own group of a pure cgroup v2, which has its limits', () => {
    const { config } = toOci(
      request([
        { op: 'mount', source: 'cgroup2', target: '/sys/fs/cgroup', fstype: 'cgroup2', flags: ['ro', 'nosuid'] },
      ]),
      { ...context, ownGroup: '/sys/fs/cgroup/tepui/x/c' },
    );
    expect(config.mounts).toEqual([
      {
        destination: '/sys/fs/cgroup',
        type: 'bind',
        source: '/sys/fs/cgroup/tepui/x/c',
        options: ['bind', 'ro', 'nosuid', 'rprivate'],
      },
    ]);
  });

  test('limits and identity become the process, numbers keep their digits', () => {
    const { config } = toOci(
      request([
        { op: 'rlimit', resource: 7, soft: 1n, hard: 0xffff_ffff_ffff_ffffn },
        { op: 'user', uid: 5, gid: 6, groups: [7] },
        { op: 'capabilities', bounding: [0], effective: [0], permitted: [0], inheritable: [], ambient: [] },
        { op: 'noNewPrivileges' },
        { op: 'umask', mask: 0o27 },
        { op: 'oomScoreAdj', value: 3 },
        { op: 'workingDirectory', path: '/w' },
        { op: 'seccomp', program: new Uint8Array(8) },
        { op: 'hostname', name: 'h' },
      ]),
      { ...context, seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } },
    );
    const text = JSON.stringify(config);
    expect(text).toContain('{"type":"RLIMIT_NOFILE","soft":1,"hard":18446744073709551615}');
    expect(JSON.parse(text)).toMatchObject({
      hostname: 'h',
      process: {
        args: ['sleep', '1'],
        env: ['A=b'],
        cwd: '/w',
        noNewPrivileges: true,
        oomScoreAdj: 3,
        user: { uid: 5, gid: 6, additionalGids: [7], umask: 0o27 },
        capabilities: { bounding: ['CAP_CHOWN'], effective: ['CAP_CHOWN'], ambient: [] },
      },
      linux: { seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } },
    });
  });

  test('an operation without a counterpart is refused by name, not left out', () => {
    const unknown = { op: 'teleport' } as unknown as Operation;
    expect(() => toOci(request([unknown]), context)).toThrow(/cannot hand "teleport" to the runtime/);
  });
});
