/** What containers may open, with a real device of the host that anybody can open when its mode lets him. */
import { readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ContainerDevice, LaunchSpec } from '../../../runtime/containerizers/containerizer.ts';
import { deviceNumber } from '../../../runtime/isolators/filesystem/devices.ts';
import {
  eventually,
  nobody,
  unavailable as noRoot,
  root,
  startNode,
  type TestNode,
} from '../containerizers/harness.ts';

// misc devices that most kernels have; opening one does nothing.
const found = ['/dev/fuse', '/dev/loop-control', '/dev/net/tun'].find((path) =>
  statSync(path, { throwIfNoEntry: false }),
);
const number = found ? deviceNumber(statSync(found).rdev) : { major: 0, minor: 0 };
const unavailable = noRoot ?? (found ? undefined : 'no /dev/fuse, /dev/loop-control or /dev/net/tun');
const describeIf = unavailable ? describe.skip : describe;

describeIf(`devices of a container (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode();
    node.isolation.boundingCapabilities = ['MKNOD', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETUID', 'SETGID'];
  });
  afterAll(() => node.close());

  const device = (permissions: string, more: Partial<ContainerDevice> = {}): ContainerDevice => ({
    path: '/dev/given',
    type: 'c',
    ...number,
    permissions,
    ...more,
  });
  const run = async (shell: string, part: Partial<LaunchSpec> = {}, container = {}) => {
    const { task: _, ...rest } = part;
    return (await node.run({ shell, ...container }, rest)).stdout.trim();
  };
  const withMknod = { security: { capabilities: { effective: ['MKNOD' as const] } } };

  test('the usual ones can be read and written, also by nobody', async () => {
    const shell =
      'for d in null zero full random urandom; do head -c1 /dev/$d | wc -c; done | tr -d "\\n"; echo x > /dev/null && echo ok; [ -c /dev/ptmx ] && echo pts';
    expect(await run(shell)).toBe('01111ok\npts');
  });

  test('another one can neither be made nor opened by root with CAP_MKNOD: EPERM', async () => {
    const shell = `mknod /dev/shm/k c ${number.major} ${number.minor} 2>&1; mknod k c ${number.major} ${number.minor} 2>&1; mknod d b 254 0 2>&1; ls; ls /dev/shm`;
    const output = await run(shell, { user: root }, withMknod);
    expect(output.match(/Operation not permitted/g)).toHaveLength(3);
    expect(output).not.toMatch(/^(k|d)$/m);
  });

  test('a usual one can be made with CAP_MKNOD, but opened only where devices work at all', async () => {
    expect(await run('mknod n c 1 3 && cat n 2>&1', { user: root }, withMknod)).toMatch(/Permission denied/);
  });

  test('one that it was given is there for its user, with the modes of its permissions', async () => {
    const shell = 'stat -c "%F %a %u %g" /dev/given; head -c0 /dev/given && echo read';
    expect(await run(shell, { devices: [device('r')] })).toBe('character special file 440 65534 65534\nread');
  });

  test('what its permissions do not say is refused by the kernel, also to root', async () => {
    const part = { devices: [device('r', { mode: 0o666 })], user: root };
    const shell = `(echo x > /dev/given) 2>&1; head -c0 /dev/given && echo read; mknod k c ${number.major} ${number.minor} 2>&1`;
    const output = await run(shell, part, { security: { capabilities: { effective: ['MKNOD', 'DAC_OVERRIDE'] } } });
    expect(output).toMatch(
      /cannot create \/dev\/given: Operation not permitted\nread\nmknod: k: Operation not permitted/,
    );
  });

  test('it may have another place, below /dev, with its own directories', async () => {
    const devices = [device('r', { path: '/dev/a/b/log', mode: 0o444, uid: 0, gid: 0 })];
    expect(await run('stat -c "%a %u" /dev/a/b/log; head -c0 /dev/a/b/log && echo read', { devices })).toBe(
      '444 0\nread',
    );
  });

  test.each([['/etc/kmsg'], ['/dev/../etc/x'], ['/dev/null'], ['/dev/pts/0'], ['/dev/shm/x'], ['/dev/']])(
    'but not %s',
    async (path) => {
      const spec = node.spec({ command: ['true'] }, { devices: [device('r', { path })] });
      await expect(node.containerizer.launch(spec)).rejects.toThrow(/below \/dev|a place of the container's own/);
    },
  );

  test('a further command has the same access, also after the agent was started again', async () => {
    const spec = node.spec({ command: ['sleep', '60'] }, { devices: [device('r')], user: nobody });
    const plain = node.spec({ command: ['sleep', '60'] });
    for (const each of [spec, plain]) await node.containerizer.launch(each);
    await node.restart();
    await node.containerizer.recover([spec.containerId, plain.containerId]);
    const open = async ({ containerId }: LaunchSpec) => {
      const session = await node.containerizer.exec({
        containerId,
        argv: ['sh', '-c', 'head -c0 /dev/given && echo read; head -c1 /dev/zero | wc -c'],
        tty: false,
        stdin: false,
      });
      let text = '';
      session.stdout.on('data', (chunk) => (text += String(chunk)));
      await session.exit;
      await eventually(() => text.endsWith('\n'));
      return text;
    };
    expect(await open(spec)).toBe('read\n1\n');
    expect(await open(plain)).toBe('1\n');
    for (const { containerId } of [spec, plain]) await node.containerizer.destroy(containerId);
  });

  test('a privileged container has those of the host, all capabilities of the agent, a writable /sys and no filter', async () => {
    const shell = `head -c0 ${found} && echo read; mknod k c ${number.major} ${number.minor} && echo mknod
      grep -c "" /proc/self/status > /dev/null; grep Seccomp: /proc/self/status; grep CapEff /proc/self/status
      awk '$2 == "/sys" { print substr($4, 1, 2) }' /proc/mounts; : >> /proc/sys/kernel/core_pattern && echo proc`;
    const output = await run(shell, { user: root }, { security: { privileged: true } });
    const own = /^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    expect(output).toBe(`read\nmknod\nSeccomp:\t0\nCapEff:\t${own}\nrw\nproc`);
  });
});
