/** What root with user ids of its own can do to the machine: even with every capability that its user namespace gives. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { probeFileSystem } from '../../../runtime/launcher/probe.ts';
import { root, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';

const range = { hostId: 1_950_000_000, size: 65_536 };
const userNamespace = { uids: range, gids: range };
const why = unavailable ?? (await probe());
const describeIf = why ? describe.skip : describe;

describeIf(`a container's root with ids of its own (${why ?? 'root, idmapped mounts'})`, () => {
  let node: TestNode;
  let scratch: string;
  beforeAll(async () => {
    node = await startNode();
    scratch = mkdtempSync('/var/lib/tepui-scratch-');
    chmodSync(scratch, 0o755);
  });
  afterAll(async () => {
    rmSync(scratch, { recursive: true });
    await node.close();
  });
  const run = (shell: string, part: object = {}) =>
    node.run({ shell, security: { noNewPrivileges: false } }, { user: root, userNamespace, ...part });

  test('cannot leave a setuid program of the machine’s root behind', async () => {
    const mounts = [{ source: scratch, target: '/data', readOnly: false }];
    await run('cp /bin/sh /data/sh; chmod 4755 /data/sh; chown 0:0 /data/sh; chmod 4755 /data/sh', { mounts });
    // On the disk it is one: nobody but root may get there by the modes of the data directory, and in every container it is nosuid.
    const { stdout } = await node.run({ shell: '/data/sh -p -c "id -u"' }, { mounts, userNamespace });
    expect(stdout).toBe('65534\n');
  });

  test('cannot change the machine through /proc/sys, cgroups, or what the kernel calls', async () => {
    const before = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
    const { stdout } =
      await run(`for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/self/oom_score_adj; do
        { echo -1000 >$f; } 2>/dev/null && echo "wrote $f"; done
      for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/escape 2>/dev/null && echo "made $d"; { echo x >$d/release_agent; } 2>/dev/null && echo agent; done
      mount -t cgroup2 x /tmp 2>/dev/null && echo mounted; mount -t proc x /tmp 2>/dev/null && echo mounted; hostname escape 2>/dev/null && echo named
      mknod /tmp/disk b 8 0 2>/dev/null && echo made; chroot /proc/1/root true 2>/dev/null && echo rooted; true`);
    expect(stdout).toBe('');
    expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).toBe(before);
  });

  test('cannot reach through its supervisor, its init or its own namespaces', async () => {
    const { stdout } = await run(`readlink /proc/1/exe; ls /proc/1/fd /proc/1/root 2>/dev/null
      for ns in user mnt pid net ipc uts cgroup; do nsenter --$ns=/proc/1/ns/$ns true 2>/dev/null && echo "entered $ns"; done
      { echo "0 0 1" >/proc/self/uid_map; } 2>/dev/null && echo mapped; { echo allow >/proc/self/setgroups; } 2>/dev/null && echo allowed; true`);
    expect(stdout).toBe('');
  });

  test('has no power over files of other tasks that it can see', async () => {
    const file = join(scratch, 'others');
    writeFileSync(file, 'kept', { mode: 0o644 });
    const other = { uids: { hostId: 1_960_000_000, size: 1000 }, gids: { hostId: 1_960_000_000, size: 1000 } };
    const mounts = [{ source: scratch, target: '/data', readOnly: true }];
    const { stdout } = await node.run(
      {
        shell:
          '{ echo x >/data/others; } 2>/dev/null && echo wrote; chmod 777 /data/others 2>/dev/null && echo changed; true',
      },
      { user: root, userNamespace: other, mounts },
    );
    expect(stdout).toBe('');
    expect(readFileSync(file, 'utf8')).toBe('kept');
  });
});

async function probe(): Promise<string | undefined> {
  const directory = mkdtempSync('/var/lib/tepui-probe-');
  const { userNamespaces } = await probeFileSystem(await buildLauncher(), directory);
  rmSync(directory, { recursive: true });
  return userNamespaces;
}
