import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cgroupVersion, root, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';

const describeIf = unavailable ? describe.skip : describe;

describeIf(`the file system of a container without an image (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  let scratch: string;
  beforeAll(async () => {
    node = await startNode();
    scratch = mkdtempSync('/var/lib/tepui-scratch-');
  });
  afterAll(async () => {
    rmSync(scratch, { recursive: true });
    await node.close();
  });

  test('is the host read-only: not even root can write anywhere but to its sandbox and its own /tmp', async () => {
    const script = `for d in / /etc /usr /var /var/lib /home /root /opt "$PWD/.." /sys /sys/fs/cgroup; do
      if touch $d/written 2>/dev/null; then echo "written $d"; fi; done
      for d in . /tmp /var/tmp /dev/shm /run; do touch $d/written || echo "refused $d"; done`;
    const { stdout, stderr } = await node.run({ shell: script }, { user: root });
    expect(stdout + stderr).toBe('');
  });

  test('a change inside never reaches the host', async () => {
    await node.run({ shell: 'touch /tmp/tepui-leaked /run/tepui-leaked /dev/shm/tepui-leaked' }, { user: root });
    for (const directory of ['/tmp', '/run', '/dev/shm'])
      expect(statSync(`${directory}/tepui-leaked`, { throwIfNoEntry: false })).toBeUndefined();
  });

  test('cannot be mounted over, remounted or unmounted from inside', async () => {
    const { stdout } = await node.run(
      {
        shell: `mount -t tmpfs x /tmp 2>/dev/null && echo mounted; mount -o remount,rw / 2>/dev/null && echo remounted
          umount /proc/sys 2>/dev/null && echo unmounted; umount ${node.dataDir} 2>/dev/null && echo unmasked
          unshare -m true 2>/dev/null && echo unshared; mknod /tmp/sda b 8 0 2>/dev/null && echo made; true`,
      },
      { user: root },
    );
    expect(stdout).toBe('');
  });

  test('hides sockets of the host below /run', async () => {
    const path = `/run/tepui-test-${process.pid}.sock`;
    const server = await listen(path);
    try {
      const { stdout } = await node.run({
        shell: `ls ${path} /var${path} /run/docker.sock /run/systemd 2>/dev/null; ls -A /run`,
      });
      expect(stdout).toBe('lock\n');
    } finally {
      server.close();
    }
  });

  test('shows nothing of the data directory but its own sandbox, at its real path', async () => {
    writeFileSync(join(node.dataDir, 'secret'), 'x');
    const other = node.spec({ command: ['true'] });
    writeFileSync(join(other.sandbox, 'file'), 'x');
    const spec = node.spec(
      { shell: `pwd; find ${node.dataDir} ! -type d; touch ${node.dataDir}/agent/x 2>/dev/null || echo refused` },
      { user: root },
    );
    await node.containerizer.launch(spec);
    await node.containerizer.wait(spec.containerId);
    await node.containerizer.destroy(spec.containerId);
    const { sandbox } = spec;
    const shown = node.output(spec).trim().split('\n').sort();
    // The times of the lines are kept beside the log once the supervisor has read some of it.
    expect(shown.filter((path) => !path.endsWith('/.stdout.times'))).toEqual(
      [sandbox, `${sandbox}/stderr`, `${sandbox}/stdout`, 'refused'].sort(),
    );
  });

  test('works the same when the data directory is below /tmp', async () => {
    const temporary = await startNode({ parent: '/tmp' });
    const { stdout } = await temporary.run({ shell: 'touch here; ls; ls /tmp' });
    await temporary.close();
    expect(stdout).toMatch(/^here\nstderr\nstdout\ntepui-test-/);
    expect(stdout.trim().split('\n')).toHaveLength(4);
  });

  test('has a minimal /dev', async () => {
    const { stdout } = await node.run({
      shell: 'ls /dev; ls -A /dev/shm; echo > /dev/null && head -c4 /dev/urandom | wc -c',
    });
    expect(stdout.trim().split('\n')).toEqual([
      'fd',
      'full',
      'null',
      'ptmx',
      'pts',
      'random',
      'shm',
      'stderr',
      'stdin',
      'stdout',
      'tty',
      'urandom',
      'zero',
      '4',
    ]);
  });

  test('/dev/shm is private, 64 MiB, or as large as the document says', async () => {
    const size = `df -B1 --output=size /dev/shm | tail -1`;
    expect((await node.run({ shell: size })).stdout.trim()).toBe(String(64 << 20));
    expect((await node.run({ shell: size, namespaces: { shmSize: '8Mi' } })).stdout.trim()).toBe(String(8 << 20));
  });

  test('kernel settings in /proc cannot be changed, and what would show the host is masked', async () => {
    const { stdout } = await node.run(
      {
        shell: `for f in /proc/sys/kernel/hostname /proc/sys/kernel/core_pattern /proc/sysrq-trigger; do (echo x > $f) 2>/dev/null && echo "written $f"; done
          for f in kcore keys timer_list interrupts sched_debug; do [ -e /proc/$f ] && [ "$(head -c1 /proc/$f 2>/dev/null | wc -c)" != 0 ] && echo "readable $f"; done
          ls /sys/firmware | wc -l`,
      },
      { user: root },
    );
    expect(stdout).toBe('0\n');
  });

  test('programs find their own limits below /sys/fs/cgroup, read-only', async () => {
    const files =
      cgroupVersion === 'v2'
        ? 'memory.max cpu.max pids.max'
        : 'memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/pids.max';
    const resources = { requests: { cpus: 0.5, memBytes: 48 << 20 }, limits: { cpus: 0.7 }, pids: 77 };
    const { stdout } = await node.run(
      { shell: `cd /sys/fs/cgroup; cat ${files}; cat /proc/self/cgroup | grep -v ':/$' | wc -l` },
      { resources },
    );
    const quota = cgroupVersion === 'v2' ? '70000 100000' : '70000';
    // Controllers that we do not use stay where the machine put them.
    expect(stdout.split('\n').slice(0, 3)).toEqual([String(48 << 20), quota, '77']);
  });

  test('names are resolved as on the host', async () => {
    const { stdout } = await node.run({ shell: 'cat /etc/resolv.conf; getent hosts localhost' });
    expect(stdout).toContain(readFileSync('/etc/resolv.conf', 'utf8'));
    expect(stdout).toContain('localhost');
  });

  describe('volumes', () => {
    const volume = (name: string, content?: string): string => {
      const path = join(scratch, name);
      if (content === undefined) mkdirSync(path, { mode: 0o777, recursive: true });
      else writeFileSync(path, content);
      return path;
    };

    test('are writable where the document mounts them: a new top-level path, an existing one, one in the sandbox', async () => {
      const source = volume('data');
      rmSync(source, { recursive: true });
      mkdirSync(source);
      const mounts = ['/data/deep', '/srv', 'here/too', '/tmp/there'].map((target) => ({
        source,
        target,
        readOnly: false,
      }));
      const { stdout, stderr } = await node.run(
        { shell: 'for d in /data/deep /srv here/too /tmp/there; do echo $d >> $d/log; done; cat /data/deep/log' },
        { mounts, user: root },
      );
      expect(stderr).toBe('');
      expect(stdout).toBe('/data/deep\n/srv\nhere/too\n/tmp/there\n');
      expect(readFileSync(join(source, 'log'), 'utf8')).toBe(stdout);
    });

    test('are not writable when mounted read-only, and may be files', async () => {
      const mounts = [
        { source: volume('ro'), target: '/ro', readOnly: true },
        { source: volume('config', 'hello\n'), target: '/config/app.conf', readOnly: true },
        { source: volume('config', 'hello\n'), target: 'app.conf', readOnly: true },
      ];
      const { stdout } = await node.run(
        { shell: 'touch /ro/x 2>/dev/null || echo refused; cat /config/app.conf app.conf' },
        { mounts, user: root },
      );
      expect(stdout).toBe('refused\nhello\nhello\n');
    });

    test('one may be mounted inside another, whatever their order in the document', async () => {
      const outer = volume('outer');
      mkdirSync(join(outer, 'inner'), { recursive: true });
      const mounts = [
        { source: volume('inner'), target: '/outer/inner', readOnly: false },
        { source: outer, target: '/outer', readOnly: true },
      ];
      const { stdout } = await node.run({ shell: 'touch /outer/inner/x && ls /outer/inner' }, { mounts, user: root });
      expect(stdout).toBe('x\n');
    });

    test.each([
      ['/usr/does-not-exist', 'does not exist on this agent'],
      ['/proc/x', 'nothing can be mounted at /proc/x'],
      ['/', 'nothing can be mounted at /'],
      ['a/../../b', 'must not contain ".."'],
      ['/var', 'cannot be covered'],
      ['/etc/passwd', 'is a file, the volume is not'],
    ])('are refused at %s with a reason', async (target, message) => {
      const spec = node.spec({ command: ['true'] }, { mounts: [{ source: volume('data'), target, readOnly: false }] });
      await expect(node.containerizer.launch(spec)).rejects.toThrow(message);
      expect(node.groups(spec.containerId)).toEqual([]);
    });

    test('a source with a root never leads out of it, whatever links a task made there', async () => {
      const data = volume('linked');
      mkdirSync(join(data, 'inside'));
      symlinkSync('/etc', join(data, 'absolute'));
      symlinkSync('../../../../etc', join(data, 'relative'));
      const mount = (name: string) => ({ source: join(data, name), root: data, target: '/linked', readOnly: false });
      const { stdout } = await node.run(
        { shell: 'ls -A /linked; touch /linked/x' },
        { mounts: [mount('inside')], user: root },
      );
      expect(stdout).toBe('');
      expect(existsSync(join(data, 'inside/x'))).toBe(true);
      for (const name of ['absolute', 'relative']) {
        await expect(node.run({ command: ['true'] }, { mounts: [mount(name)] })).rejects.toThrow(
          'No such file or directory',
        );
      }
      const outside = { source: '/etc', root: data, target: '/linked', readOnly: false };
      await expect(node.run({ command: ['true'] }, { mounts: [outside] })).rejects.toThrow(`/etc is not below ${data}`);
    });

    test('a symbolic link that a task left in its sandbox does not lead a mount out of the container', async () => {
      const spec = node.spec(
        { shell: 'true' },
        { mounts: [{ source: volume('data'), target: 'link/etc', readOnly: false }] },
      );
      symlinkSync('/', join(spec.sandbox, 'link'));
      await node.containerizer.launch(spec).then(
        () => node.containerizer.wait(spec.containerId),
        () => undefined,
      );
      await node.containerizer.destroy(spec.containerId);
      // What was mounted, if anything, was mounted in the container: the host has the mounts it had (checked at the end of this file).
      expect(readdirSync('/etc').length).toBeGreaterThan(10);
    });
  });
});

function listen(path: string): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer().listen(path, () => resolve(server));
  });
}
