import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { busyboxImage, noImages, type TestImage } from '../containerizers/image.ts';
import { execHostile, expectRefused, type Options, probeSpec, runHostile, variants } from './probe.ts';

const describeIf = unavailable ? describe.skip : describe;

const possible = variants.filter(({ image }) => !image || !noImages);

describeIf.each(possible)(
  `a container of $what cannot reach other processes (${unavailable ?? 'root'})`,
  ({ image, user, part }) => {
    let node: TestNode;
    let busybox: TestImage | undefined;
    let options: Options;
    beforeAll(async () => {
      node = await startNode();
      if (image) busybox = busyboxImage();
      options = { ...part, ...(busybox && { image: busybox }) };
    });
    afterAll(async () => {
      await node.close();
      busybox?.remove();
    });

    test('by overwriting the launcher through /proc/PID/exe of the init', async () => {
      const result = await runHostile(node, './probe overwrite /proc/1/exe; readlink /proc/1/exe; true', options);
      expect(result.stdout).not.toMatch(/ ok$|launcher|memfd/m);
    });

    test('by overwriting the launcher through /proc/self/exe of a command that is the launcher itself (CVE-2019-5736)', async () => {
      const launcher = await launcherFile(node);
      const before = readFileSync(launcher);
      // The command is the launcher's own program: while it starts, another process of the container lies in wait for its file.
      const script = `cat > wait.sh <<'END'
      for round in $(seq 400); do for exe in /proc/[0-9]*/exe; do
        case "$(readlink $exe 2>/dev/null)" in *launcher*) ./probe overwrite $exe;; esac; done; done
END
      sh wait.sh & for i in $(seq 20); do /proc/self/exe version >/dev/null 2>&1; done; kill $! 2>/dev/null; true`;
      const spec = await probeSpec(node, { shell: script }, options);
      await node.containerizer.launch(spec);
      for (let round = 0; round < 5; round++) {
        const { containerId } = spec;
        const session = await node.containerizer
          .exec({ containerId, argv: ['/proc/self/exe', 'version'], tty: false, stdin: false })
          .catch(() => undefined);
        session?.stdout.resume();
        session?.stderr?.resume();
        await session?.exit;
      }
      await node.containerizer.wait(spec.containerId);
      expect(node.output(spec)).not.toMatch(/ ok$/m);
      await node.containerizer.destroy(spec.containerId);
      expect(readFileSync(launcher).equals(before)).toBe(true);
    });

    test('through descriptors that were left open', async () => {
      const script = './probe descriptors self 1';
      for (const { stdout } of [
        await runHostile(node, script, options),
        await execHostile(node, ['./probe', 'descriptors', 'self', '1'], options),
      ]) {
        const lines = stdout.trim().split('\n');
        // Of the init, root may count the descriptors (one: the status pipe) but not look at or open them; it may be just closing its copies of ours.
        const harmless =
          /^descriptor [012] (pipe:\[\d+\]|\/dev\/null)$|^descriptor \d+ EACCES$|^descriptor [0-4] ENOENT$|^\/proc\/1\/fd EACCES$/;
        expect(lines.filter((line) => !harmless.test(line))).toEqual([]);
        expect(stdout).toContain('EACCES');
      }
    });

    test('through descriptors that were left open for a terminal or an open input', async () => {
      for (const streams of [{ tty: true }, { stdin: true }]) {
        const spec = await probeSpec(node, { command: ['./probe', 'descriptors', 'self'], ...streams }, options);
        await node.containerizer.launch(spec);
        await node.containerizer.wait(spec.containerId);
        const lines = node.output(spec).trim().split(/\r?\n/);
        await node.containerizer.destroy(spec.containerId);
        expect(lines).toHaveLength(3);
        expect(lines.filter((line) => !/^descriptor [012] (pipe:\[\d+\]|\/dev\/pts\/0)$/.test(line))).toEqual([]);
      }
    });

    test('through the standard input: the host’s /dev/null cannot be changed by its mode or owner', async () => {
      const before = lstatSync('/dev/null');
      const { stdout } = await runHostile(node, './probe streams', options);
      expect(stdout).not.toMatch(/ ok$/m);
      expect(stdout).not.toContain('stdin-own no');
      const after = lstatSync('/dev/null');
      expect([after.mode, after.uid, after.gid, after.ctimeMs]).toEqual([
        before.mode,
        before.uid,
        before.gid,
        before.ctimeMs,
      ]);
    });

    test('by their pids: it sees none of the host’s, and has nobody to signal or trace', async () => {
      const victim = spawn('sleep', ['60'], { env: { SECRET: 'precious' } });
      try {
        const { stdout } = await runHostile(
          node,
          `kill -0 ${victim.pid} 2>/dev/null && echo signalled
        kill -9 -1 2>/dev/null; true`,
          options,
        );
        expect(stdout).toBe('');
        const { stdout: seen } = await runHostile(
          node,
          `for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done | grep -v -e tepui-init -e sh -e tr; cat /proc/*/environ 2>/dev/null | grep -c precious; ls /proc/${victim.pid}/root 2>/dev/null`,
          options,
        );
        expect(seen.replaceAll(/^\s*$/gm, '').trim()).toBe('0');
        expect(victim.exitCode).toBeNull();
      } finally {
        victim.kill();
      }
    });

    test('of another container of the same user: not its processes, files, memory or environment', async () => {
      const secret = randomUUID();
      const other = node.spec(
        { shell: 'echo private > file; sleep 60' },
        { ...options, env: { PATH: '/usr/bin:/bin', SECRET: secret } },
      );
      const { pid } = await node.containerizer.launch(other);
      try {
        const { stdout } = await runHostile(
          node,
          `cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep SECRET; ls -d /proc/${pid} ${other.sandbox} 2>/dev/null
        cat ${other.sandbox}/file 2>/dev/null; kill -9 ${pid} 2>/dev/null && echo killed; ls /dev/shm /dev/mqueue 2>/dev/null; true`,
          options,
        );
        expect(stdout.split('\n').filter((line) => line !== '' && line !== '/dev/shm:')).toEqual([]);
        expect(stdout).not.toContain(secret);
      } finally {
        await node.containerizer.destroy(other.containerId);
      }
    });

    test('through /proc/PID/root and cwd of any process it sees', async () => {
      const { stdout } = await runHostile(
        node,
        `for p in /proc/[0-9]*; do for d in root cwd; do ls -d $p/$d${node.dataDir}/agent/containers $p/$d/../../../../../../..${node.dataDir}/agent/containers 2>/dev/null; done; done; true`,
        options,
      );
      expect(stdout).toBe('');
    });

    test('by chroot and a working directory outside of it', async () => {
      const { stdout } = await runHostile(node, `./probe chroot ${node.dataDir}/agent/containers`, options);
      expect(stdout).toMatch(user.uid === 0 ? /^chroot-escape ENOENT\n$/ : /^chroot EPERM\n$/);
    });

    // With an image: setuid.test.ts.
    (image ? test.skip : test)('by setuid programs', async () => {
      const { stdout } = await runHostile(
        node,
        `grep -h -e NoNewPrivs -e '^Uid' /proc/self/status | tr '\\t' ' '
      cp /bin/sh shell && chmod 4755 shell && ./shell -p -c 'id -u'; su -c 'id -u' nobody </dev/null 2>/dev/null | grep '^0$'
      mount -t tmpfs x /tmp 2>/dev/null && echo mounted; find / -xdev -perm -4000 -user root -exec {} --version \\; >/dev/null 2>&1; true`,
        options,
      );
      expect(stdout).toContain('NoNewPrivs: 1');
      expect(stdout).not.toContain('mounted');
      expect(stdout.split('\n')[2]).toBe(String(user.uid));
    });

    test('by a fork bomb: pidsLimit ends it', async () => {
      const spec = await probeSpec(
        node,
        { shell: './probe forks' },
        { ...options, resources: { requests: { cpus: 0.5, memBytes: 64 << 20 }, limits: {}, pids: 50 } },
      );
      await node.containerizer.launch(spec);
      await node.containerizer.wait(spec.containerId);
      const made = Number(/forks (\d+)/.exec(node.output(spec))?.[1]);
      await node.containerizer.destroy(spec.containerId);
      expect(made).toBeGreaterThan(10);
      expect(made).toBeLessThan(50);
    });

    test('by pushing input into a terminal, its own or that of a session', async () => {
      expectRefusedOnHost(await runHostile(node, './probe tty; true', options));
      const { stdout } = await execHostile(node, ['./probe', 'tty'], { ...options, tty: true });
      // Into the session's own terminal at most, which is the container's: TIOCLINUX and stealing a terminal are for those of the machine.
      expect(stdout).toMatch(/tioclinux E/);
    });

    test('by abstract sockets, with no network', async () => {
      const name = `tepui-escape-${randomUUID()}`;
      const server = createServer((connection) => connection.end());
      await new Promise<void>((resolve) => server.listen({ path: `\0${name}` }, resolve));
      try {
        const none = await runHostile(node, `./probe connect @${name}`, {
          ...options,
          task: { network: { mode: 'None' } },
        });
        expectRefused(none);
      } finally {
        server.close();
      }
    });

    test('by what the agent was started with: no environment variable of its own arrives', async () => {
      const { stdout } = await runHostile(node, 'env | cut -d= -f1 | sort | tr "\\n" " "', options);
      expect(
        stdout
          .trim()
          .split(' ')
          .filter((name) => !['PATH', 'PWD', 'OLDPWD', 'SHLVL', '_'].includes(name)),
      ).toEqual([]);
    });

    test('as a process of its own namespaces only', async () => {
      const kinds = ['mnt', 'pid', 'ipc', 'uts', 'cgroup'];
      const { stdout } = await execHostile(
        node,
        ['readlink', ...kinds.map((kind) => `/proc/self/ns/${kind}`)],
        options,
      );
      const shared = kinds.filter((kind, index) => stdout.split('\n')[index] === readlinkSync(`/proc/self/ns/${kind}`));
      expect(shared).toEqual([]);
    });
  },
);

function expectRefusedOnHost({ stdout }: { stdout: string }): void {
  expect(stdout).not.toMatch(/ ok$/m);
}

async function launcherFile(node: TestNode): Promise<string> {
  const { buildLauncher } = await import('../../../runtime/launcher/build.ts');
  const path = await buildLauncher();
  expect(statSync(join(node.runtimeDir, 'launcher.sock')).mode & 0o077).toBe(0);
  return path;
}
