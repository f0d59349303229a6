import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { expectRefused, runHostile, variants } from './probe.ts';

const describeIf = unavailable ? describe.skip : describe;

// With an image there are no files of the host: hostile-image.test.ts.
const withoutImage = variants.filter(({ image }) => !image);

describeIf.each(withoutImage)(
  `a container of $what cannot reach files of the host (${unavailable ?? 'root'})`,
  ({ part }) => {
    let node: TestNode;
    const secret = randomUUID();
    const servers: Server[] = [];
    const directories: string[] = [];
    beforeAll(async () => {
      node = await startNode();
    });
    afterAll(async () => {
      for (const server of servers) server.close();
      for (const directory of directories) rmSync(directory, { recursive: true });
      await node.close();
    });

    const directoryIn = (parent: string): string => {
      const directory = mkdtempSync(join(parent, 'tepui-escape-'));
      directories.push(directory);
      return directory;
    };
    const listen = async (path: string): Promise<string> => {
      const server = createServer((connection) => connection.end());
      servers.push(server);
      await new Promise<void>((resolve) => server.listen({ path, readableAll: true, writableAll: true }, resolve));
      return path;
    };

    test('by writing anywhere but to its sandbox and its private scratch directories', async () => {
      const { stdout } = await runHostile(
        node,
        `find / -xdev -maxdepth 3 -type d ! -path '/proc*' ! -path '/sys*' 2>/dev/null | while read -r d; do
        { true > "$d/tepui-written"; } 2>/dev/null && echo "$d"; done
      for d in /etc /usr /var /home /root /opt /boot /srv /mnt /media /lib /bin; do for f in $(find $d -maxdepth 2 -type f 2>/dev/null | head -50); do
        [ -f "$f" ] && { true >> "$f"; } 2>/dev/null && echo "$f"; done; done; true`,
        part,
      );
      const scratch = /^\/(tmp|var\/tmp|run|run\/lock|var\/run|dev|dev\/shm|dev\/pts)$/;
      // Below the sandbox find does not go: it is deeper.
      expect(stdout.split('\n').filter((line) => line !== '' && !scratch.test(line))).toEqual([]);
      for (const directory of ['/tmp', '/var/tmp', '/run', '/dev', '/dev/shm', '/etc'])
        expect(existsSync(`${directory}/tepui-written`)).toBe(false);
    });

    test("that only root of the host may read: password hashes, host keys, root's home, the state of other daemons", async () => {
      const { stdout } = await runHostile(
        node,
        `cat /etc/shadow /etc/gshadow /etc/shadow- /etc/ssh/ssh_host_*_key 2>/dev/null; ls -A /root /var/lib/docker /var/lib/containerd /var/lib/kubelet 2>/dev/null | grep -v : ; true`,
        part,
      );
      expect(stdout.trim()).toBe('');
    });

    test("in Tepui's data directory: keys, kubeconfig, records, other sandboxes", async () => {
      for (const path of [
        'kubeconfig',
        'server/pki/ca.key',
        'agent/meta/tasks/x.json',
        'agent/sandboxes/default/other/runs/1/file',
      ]) {
        mkdirSync(join(node.dataDir, path, '..'), { recursive: true });
        writeFileSync(join(node.dataDir, path), secret, { mode: 0o644 });
      }
      const { stdout } = await runHostile(
        node,
        `grep -rls ${secret} ${node.dataDir} /proc/self/cwd/.. /proc/1/root${node.dataDir}; cat ${node.dataDir}/kubeconfig ../../../../../../kubeconfig ../*/launch.json 2>/dev/null
      find ${node.dataDir} ! -type d ! -path "$PWD/*"; true`,
        part,
      );
      expect(stdout).toBe('');
    });

    test('in the records of containers: environments, exit records and the launcher’s socket', async () => {
      const { stdout } = await runHostile(
        node,
        `ls ${node.runtimeDir} ${node.runtimeDir}/launcher.sock 2>/dev/null; ./probe connect ${node.runtimeDir}/launcher.sock ${node.runtimeDir}/agent.sock /run/tepui/x/agent.sock`,
        part,
      );
      expect(stdout).toMatch(/^(\S+ ENOENT\n){3}$/);
    });

    test('through sockets of the host in /run, /var/run, /tmp and /var/tmp', async () => {
      const paths: string[] = [];
      for (const parent of ['/run', '/tmp', '/var/tmp'])
        paths.push(await listen(join(directoryIn(parent), 'docker.sock')));
      paths.push(paths[0]!.replace('/run/', '/var/run/'));
      expectRefused(
        await runHostile(node, `./probe connect ${paths.join(' ')} /run/docker.sock /var/run/docker.sock`, part),
        6,
      );
    });

    test('through shared memory, message queues and the semaphores of others', async () => {
      const name = `tepui-escape-${randomUUID()}`;
      writeFileSync(`/dev/shm/${name}`, secret);
      try {
        const { stdout } = await runHostile(
          node,
          `ls /dev/shm /dev/mqueue 2>/dev/null; cat /dev/shm/${name} 2>/dev/null; ipcs -a 2>/dev/null | grep -c 0x; mount -t mqueue x /tmp 2>/dev/null && echo mounted; true`,
          part,
        );
        expect(stdout.replace('/dev/shm:\n', '').trim()).toMatch(/^0?$/);
      } finally {
        rmSync(`/dev/shm/${name}`);
      }
    });

    test('by uncovering what is mounted over', async () => {
      writeFileSync(join(node.dataDir, 'secret'), secret);
      const { stdout } = await runHostile(
        node,
        `umount -l ${node.dataDir} 2>/dev/null && echo uncovered; umount -l /run 2>/dev/null && echo uncovered
      mount --bind / /tmp 2>/dev/null && echo bound; mount -o remount,rw,bind / 2>/dev/null && echo writable
      mount -o remount,rw /usr 2>/dev/null && echo writable; ls ${node.dataDir}/secret 2>/dev/null
      grep -c ' / / ' /proc/self/mountinfo | grep -v 1; true`,
        part,
      );
      expect(stdout).toBe('');
    });

    test('and what it writes to its own /run, /tmp or /dev never reaches them', async () => {
      const name = `tepui-escape-${randomUUID()}`;
      await runHostile(
        node,
        `for d in /run /tmp /var/tmp /dev /dev/shm; do ln -s / $d/${name}; done 2>/dev/null; true`,
        part,
      );
      for (const directory of ['/run', '/tmp', '/var/tmp', '/dev', '/dev/shm'])
        expect(readdirSync(directory)).not.toContain(name);
    });
  },
);
