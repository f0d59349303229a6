import { spawn } from 'node:child_process';
import { mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { nobody, root, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';

const describeIf = unavailable ? describe.skip : describe;
const status = (field: string) => `grep ^${field}: /proc/self/status | tr -d '\\t '`;

describeIf(`the processes of a container (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode();
  });
  afterAll(() => node.close());

  test('see only themselves, and cannot signal others', async () => {
    const victim = spawn('sleep', ['60']);
    try {
      const { stdout } = await node.run(
        { shell: `ls /proc | grep -c '^[0-9]'; kill -0 ${victim.pid} 2>/dev/null && echo found; true` },
        { user: root },
      );
      // The tiny init, the shell, ls and grep.
      expect(Number(stdout)).toBeLessThanOrEqual(5);
      expect(victim.exitCode).toBeNull();
    } finally {
      victim.kill();
    }
  });

  test('have namespaces of their own, and share the network of the host by default', async () => {
    const kinds = ['mnt', 'pid', 'ipc', 'uts', 'cgroup', 'net'];
    const { stdout } = await node.run({ shell: `for n in ${kinds.join(' ')}; do readlink /proc/self/ns/$n; done` });
    const shared = kinds.filter((kind, index) => stdout.split('\n')[index] === readlinkSync(`/proc/self/ns/${kind}`));
    expect(shared).toEqual(['net']);
  });

  test('share pid and ipc namespaces of the host when asked to', async () => {
    const { stdout } = await node.run({
      shell: 'readlink /proc/self/ns/pid /proc/self/ns/ipc',
      namespaces: { pid: 'Host', ipc: 'Host' },
    });
    expect(stdout).toBe(`${readlinkSync('/proc/self/ns/pid')}\n${readlinkSync('/proc/self/ns/ipc')}\n`);
  });

  test('with network None have a loopback interface that works and nothing else', async () => {
    const { stdout } = await node.run(
      { shell: 'ls /sys/class/net; cat /sys/class/net/lo/flags; hostname' },
      { task: { network: { mode: 'None' } } },
    );
    expect(stdout).toBe('lo\n0x9\ntest\n');
  });

  test('have the host name of the agent, or that of the document', async () => {
    expect((await node.run({ shell: 'hostname' })).stdout.trim()).toBe(hostname());
    expect((await node.run({ shell: 'hostname' }, { task: { network: { hostname: 'web-0' } } })).stdout).toBe(
      'web-0\n',
    );
  });

  test('run as their user with its groups and a umask of 022', async () => {
    const user = { ...nobody, uid: 1234, gid: 2345, supplementalGids: [3456, 4567] };
    const { stdout } = await node.run(
      { shell: 'id -u; id -g; id -G; umask; touch file; stat -c %u:%g:%a file' },
      { user },
    );
    expect(stdout).toBe('1234\n2345\n2345 3456 4567\n0022\n1234:2345:644\n');
  });

  test('start in the sandbox, or in the working directory of the document', async () => {
    const spec = node.spec({ shell: 'pwd' });
    const { stdout } = await node.run(spec.container, { containerId: spec.containerId, sandbox: spec.sandbox });
    expect(stdout.trim()).toBe(spec.sandbox);
    expect((await node.run({ shell: 'pwd', workingDir: '/usr/lib' })).stdout).toBe('/usr/lib\n');
    await expect(node.run({ shell: 'pwd', workingDir: '/nowhere' })).rejects.toThrow('/nowhere');
  });

  test('have no privileges as an ordinary user: no capabilities, no new privileges, a seccomp filter', async () => {
    const { stdout } = await node.run({
      shell: `${['CapEff', 'CapPrm', 'CapInh', 'CapAmb', 'NoNewPrivs', 'Seccomp'].map(status).join('; ')}`,
    });
    const none = '0000000000000000';
    expect(stdout.split('\n').slice(0, 6)).toEqual([
      `CapEff:${none}`,
      `CapPrm:${none}`,
      `CapInh:${none}`,
      `CapAmb:${none}`,
      'NoNewPrivs:1',
      'Seccomp:2',
    ]);
  });

  test('have the small default set of capabilities as root', async () => {
    const { stdout } = await node.run({ shell: `${status('CapEff')}; ${status('CapBnd')}` }, { user: root });
    expect(stdout).toBe(
      'CapEff:00000000000404fb\nCapBnd:00000000000404fb\n'.replaceAll('404fb', mask([0, 1, 3, 4, 5, 6, 7, 10, 18])),
    );
  });

  test('have exactly the capabilities that the document lists, also without being root', async () => {
    const security = {
      capabilities: {
        effective: ['NET_BIND_SERVICE' as const],
        bounding: ['NET_BIND_SERVICE' as const, 'CHOWN' as const],
      },
    };
    const { stdout } = await node.run({
      shell: `${status('CapEff')}; ${status('CapBnd')}; ${status('CapAmb')}`,
      security,
    });
    expect(stdout).toBe(`CapEff:${mask16([10])}\nCapBnd:${mask16([0, 10])}\nCapAmb:${mask16([10])}\n`);
  });

  test('gain nothing from setuid programs, unless the document allows it', async () => {
    const { stdout } = await node.run({ shell: status('NoNewPrivs'), security: { noNewPrivileges: false } });
    expect(stdout).toBe('NoNewPrivs:0\n');
  });

  test('keep their seccomp filter when new privileges are allowed, and lose it only when the document says Unconfined', async () => {
    expect((await node.run({ shell: status('Seccomp'), security: { noNewPrivileges: false } })).stdout).toBe(
      'Seccomp:2\n',
    );
    expect(
      (await node.run({ shell: status('Seccomp'), security: { seccompProfile: { type: 'Unconfined' } } })).stdout,
    ).toBe('Seccomp:0\n');
  });

  test('cannot make system calls that the default profile does not allow', async () => {
    const script = `import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for name, number in (('keyctl', 250), ('kexec_load', 246), ('bpf', 321), ('mount', 165), ('unshare', 272)):
    ctypes.set_errno(0)
    print(name, libc.syscall(number, 0x10000000 if name == 'unshare' else 0, 0, 0, 0, 0) < 0 and os.strerror(ctypes.get_errno()))`;
    const { stdout } = await node.run({ command: ['python3', '-c', script] }, { user: root });
    // Machines without Python or of another architecture have other tests of the filter (test/runtime/seccomp).
    if (stdout === '' || process.arch !== 'x64') return;
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ').slice(1).join(' ')),
    ).toEqual(Array(5).fill('Operation not permitted'));
  });

  test('are held to a seccomp profile of the operator, whose path cannot lead elsewhere', async () => {
    const directory = join(node.dataDir, 'agent/seccomp');
    mkdirSync(directory, { recursive: true });
    const profile = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }],
    };
    writeFileSync(join(directory, 'no-mkdir.json'), JSON.stringify(profile));
    symlinkSync('/etc/passwd', join(directory, 'link.json'));
    const run = (localhostProfile: string) =>
      node.run({
        shell: 'mkdir x 2>/dev/null || echo refused',
        security: { seccompProfile: { type: 'Localhost', localhostProfile } },
      });
    expect((await run('no-mkdir.json')).stdout).toBe('refused\n');
    await expect(run('../seccomp/no-mkdir.json')).rejects.toThrow('must be relative and without ".."');
    for (const name of ['link.json', 'missing.json'])
      await expect(run(name)).rejects.toThrow(`there is no profile "${name}"`);
    writeFileSync(join(directory, 'broken.json'), '{');
    await expect(run('broken.json')).rejects.toThrow('broken.json');
  });

  test('are held to their rlimits', async () => {
    const rlimits = [
      { type: 'RLMT_NOFILE' as const, soft: 64, hard: 128 },
      { type: 'RLMT_CORE' as const, soft: 0, hard: 0 },
    ];
    expect((await node.run({ shell: 'ulimit -Sn; ulimit -Hn; ulimit -c', rlimits })).stdout).toBe('64\n128\n0\n');
    const half = node.run({ shell: 'true', rlimits: [{ type: 'RLMT_NOFILE', soft: 1 }] });
    await expect(half).rejects.toThrow('rlimits[0]: give both soft and hard, or neither');
  });

  test('are the first to go when the machine runs out of memory, if they may use more than they asked for', async () => {
    const score = async (limits: object) =>
      Number(
        (
          await node.run(
            { shell: 'cat /proc/self/oom_score_adj' },
            { resources: { requests: { cpus: 0.1, memBytes: 64 << 20 }, limits } },
          )
        ).stdout,
      );
    expect(await score({})).toBe(0);
    expect(await score({ memBytes: Infinity })).toBeGreaterThan(900);
  });

  test('inherit no descriptors and get only the environment they were given', async () => {
    const { stdout } = await node.run({ command: ['/usr/bin/env'] }, { env: { ONLY: 'this' } });
    expect(stdout).toBe('ONLY=this\n');
    expect((await node.run({ shell: 'ls /proc/self/fd' })).stdout).toBe('0\n1\n2\n3\n');
  });
});

function mask(numbers: number[]): string {
  return numbers.reduce((sum, number) => sum + 2 ** number, 0).toString(16);
}

function mask16(numbers: number[]): string {
  return mask(numbers).padStart(16, '0');
}
