import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { defaultSeccompProfile } from '../../runtime/seccomp/compile.ts';
import { root, type TestNode } from '../runtime/containerizers/harness.ts';
import { probeSpec } from '../runtime/escape/probe.ts';
import { stopTargets, targets } from './targets.ts';

afterAll(stopTargets);

describe.each(targets)('what a container sees and may do: $name', (target) => {
  const testIf = target.problem ? test.skip : test;
  /** Of the host's files, which containers see that have no image. */
  const hostFilesIf = target.runsImagesOnly ? test.skip : testIf;
  let node: TestNode;
  beforeAll(async () => {
    node = await target.start();
  });
  afterAll(() => node?.close());

  /** Lines that a script printed, run as the container's root. */
  const asRoot = async (shell: string, part = {}) =>
    (await node.run({ shell, ...part }, { user: root })).stdout.trim().split('\n');

  hostFilesIf('the host is there to be read, and nowhere to be written', async () => {
    const script =
      'test -e /usr/bin/env && echo readable; for d in / /usr /etc /var /sys /proc/sys/kernel; do touch $d/x 2>/dev/null && echo BAD $d; done';
    expect(await asRoot(script)).toEqual(['readable']);
  });

  testIf('its sandbox is writable and the working directory', async () => {
    const spec = node.spec({ shell: 'pwd; echo kept > file' });
    await node.containerizer.launch(spec);
    await node.containerizer.wait(spec.containerId);
    expect(node.output(spec).trim()).toBe(target.runsImagesOnly ? '/mnt/tepui/sandbox' : spec.sandbox);
    expect(readFileSync(join(spec.sandbox, 'file'), 'utf8')).toBe('kept\n');
    await node.containerizer.destroy(spec.containerId);
  });

  hostFilesIf('/tmp is its own, and nothing else of the data directory is to be seen', async () => {
    mkdirSync(join(node.dataDir, 'agent/volumes/other'), { recursive: true });
    writeFileSync(join(node.dataDir, 'secret'), 'x');
    const visible = mkdtempSync('/tmp/tepui-test-visible-');
    const lines = await asRoot(
      `ls /tmp | wc -l; touch /tmp/mine && echo writable; ls ${node.dataDir}; ls ${node.dataDir}/agent`,
    );
    rmSync(visible, { recursive: true });
    expect(lines).toEqual(['0', 'writable', 'agent', 'sandboxes']);
  });

  testIf('only its own processes are visible, and it is not alone at pid 1 with its signals', async () => {
    const lines = await asRoot('ls -d /proc/[0-9]* | wc -l; echo $$');
    expect(Number(lines[0])).toBeLessThanOrEqual(4);
    expect(Number(lines[1])).toBeGreaterThan(1);
  });

  hostFilesIf('what only root of the host may read is hidden from its root too', async () => {
    expect(await asRoot('cat /etc/shadow 2>/dev/null | wc -c; ls /root 2>/dev/null | wc -l')).toEqual(['0', '0']);
  });

  testIf('the usual devices and no others are there', async () => {
    const lines = await asRoot(
      'for d in null zero full random urandom tty; do test -c /dev/$d || echo missing $d; done; ' +
        'find /dev -type b; test -e /dev/kmsg && echo BAD; test -e /dev/vda && echo BAD; ' +
        'head -c 4 /dev/zero | wc -c; test -w /dev/null && echo x > /dev/null && echo ok; test -d /dev/shm && touch /dev/shm/x && echo shm',
    );
    expect(lines).toEqual(['4', 'ok', 'shm']);
  });

  testIf('what shows or changes the host in /proc and /sys is masked', async () => {
    const lines = await asRoot(
      'cat /proc/kcore 2>/dev/null | head -c 1 | wc -c; cat /proc/keys 2>/dev/null | wc -c; ' +
        'echo 1 > /proc/sysrq-trigger 2>/dev/null && echo BAD; echo x > /proc/sys/kernel/core_pattern 2>/dev/null && echo BAD; ' +
        'ls /sys/firmware 2>/dev/null | wc -l; mkdir /sys/fs/cgroup/memory/x 2>/dev/null && echo BAD; echo end',
    );
    expect(lines).toEqual(['0', '0', '0', 'end']);
  });

  testIf('system calls that reach the host are refused', async () => {
    const lines = await asRoot(
      'unshare -m true 2>/dev/null && echo BAD unshare; mount -t tmpfs none /mnt 2>/dev/null && echo BAD mount; ' +
        'mknod /tmp/disk b 253 0 2>/dev/null && echo BAD mknod; chroot / true && echo chroot',
    );
    expect(lines).toEqual(['chroot']);
    const { stdout } = await node.run({ shell: 'grep -E "Seccomp:|NoNewPrivs" /proc/self/status' });
    expect(stdout.replaceAll('\t', ' ').trim().split('\n').sort()).toEqual(['NoNewPrivs: 1', 'Seccomp: 2']);
  });

  testIf('without a filter there is none', async () => {
    const lines = await asRoot('grep Seccomp: /proc/self/status', {
      security: { seccompProfile: { type: 'Unconfined' } },
    });
    expect(lines).toEqual(['Seccomp:\t0']);
  });

  const given = ['/dev/fuse', '/dev/loop-control', '/dev/net/tun'].find((path) => existsSync(path));
  // An engine gives more than this machine's root may have.
  hostFilesIf(
    'a privileged one has every capability of the agent, its devices, a writable /sys and no filter',
    async () => {
      const permitted = /^CapPrm:\t(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
      const lines = await asRoot(
        `grep -E "^(CapEff|Seccomp):" /proc/self/status; head -c0 ${given ?? '/dev/null'} && echo opened; ` +
          `awk '$2 == "/sys" { print $2, substr($4, 1, 2) }' /proc/mounts; ` +
          'test -w /proc/sys/kernel/core_pattern && echo proc',
        { security: { privileged: true } },
      );
      expect(lines).toEqual([`CapEff:\t${permitted}`, 'Seccomp:\t0', 'opened', '/sys rw', 'proc']);
    },
  );

  describe('on a file system with project quota its files stay in their project', () => {
    const set = async (security: object, part: object) => {
      const spec = await probeSpec(node, { shell: './probe projects', security }, { user: root, ...part });
      await node.containerizer.launch(spec);
      await node.containerizer.wait(spec.containerId);
      const said = node.output(spec).match(/(?<=set-(flags|project).*) .*/g);
      await node.containerizer.destroy(spec.containerId);
      return said;
    };

    testIf('by the usual filter', async () => {
      // A file system may have flags and no projects.
      expect(await set({}, {})).toContain(' ok');
      expect(new Set(await set({}, { onProjectQuota: true }))).toEqual(new Set([' EPERM']));
    });

    const ioctl = { names: ['ioctl'], action: 'SCMP_ACT_ALLOW' };
    testIf.each([
      ['everything', []],
      ['all requests', [ioctl]],
      ['all requests but one', [{ ...ioctl, args: [{ index: 1, op: 'SCMP_CMP_NE', value: 0x5412 }] }]],
    ])('also by an operator’s that allows %s', async (what, syscalls) => {
      const directory = join(node.dataDir, 'agent/seccomp');
      mkdirSync(directory, { recursive: true });
      const { entries } = defaultSeccompProfile();
      const others = entries
        .flatMap(({ names, args }) => (args.length === 0 ? names : []))
        .filter((name) => name !== 'ioctl');
      const profile =
        what === 'everything'
          ? { defaultAction: 'SCMP_ACT_ALLOW' }
          : {
              defaultAction: 'SCMP_ACT_ERRNO',
              syscalls: [{ names: [...others, 'clone', 'personality'], action: 'SCMP_ACT_ALLOW' }, ...syscalls],
            };
      writeFileSync(join(directory, 'own.json'), JSON.stringify(profile));
      const security = { seccompProfile: { type: 'Localhost', localhostProfile: 'own.json' } };
      expect(await set(security, {})).toContain(' ok');
      expect(new Set(await set(security, { onProjectQuota: true }))).toEqual(new Set([' EPERM']));
    });
  });

  testIf('network None is a loopback of its own, Host is the network of the host', async () => {
    const alone = await node.run(
      { shell: 'cat /proc/net/dev | tail -n +3 | cut -d: -f1; cat /proc/sys/kernel/hostname' },
      { task: { network: { mode: 'None', networks: [] } as never } },
    );
    expect(alone.stdout.trim().split(/\s+/)).toEqual(['lo', 'test']);
    const shared = await node.run({ shell: 'wc -l < /proc/net/dev; hostname' });
    expect(shared.stdout.trim().split('\n').at(-1)).toBe(hostname());
  });
});
