/** A container in a network namespace that was made before it, with files of its own for names: the same over all containerizers that run them. */
import { chownSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { LaunchSpec } from '../../runtime/containerizers/containerizer.ts';
import { holdNamespaces, releaseNamespaces } from '../../runtime/launcher/hold.ts';
import type { TestNode } from '../runtime/containerizers/harness.ts';
import { busyboxImage, noImages, type TestImage } from '../runtime/containerizers/image.ts';
import { stopTargets, targets } from './targets.ts';

// The machine may have much else to do.
jest.setTimeout(120_000);

afterAll(stopTargets);

const withNamespaces = targets.filter(({ runsImagesOnly }) => !runsImagesOnly);

describe.each(withNamespaces)('a container in a given network: $name', (target) => {
  const problem = target.problem ?? noImages;
  const testIf = problem ? test.skip : test;
  let node: TestNode;
  let directory: string;
  let network: NonNullable<LaunchSpec['network']>;
  let image: TestImage;
  beforeAll(async () => {
    if (problem) process.stderr.write(`${target.name} skipped: ${problem}\n`);
    else node = await target.start();
  });
  afterAll(() => node?.close());
  beforeEach(async () => {
    if (problem) return;
    image = busyboxImage();
    directory = join(node.runtimeDir, 'tasks/t/network');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const files = {
      hosts: join(directory, 'hosts'),
      resolvConf: join(directory, 'resolv.conf'),
      hostname: join(directory, 'hostname'),
    };
    writeFileSync(files.hosts, '127.0.0.1 localhost\n10.0.0.7 given\n', { mode: 0o644 });
    writeFileSync(files.resolvConf, 'nameserver 10.0.0.1\n', { mode: 0o644 });
    writeFileSync(files.hostname, 'given\n', { mode: 0o644 });
    network = { namespacePath: (await holdNamespaces(directory, ['net'])).net, hostname: 'given', files };
  });
  afterEach(async () => {
    image?.remove();
    if (!problem) await releaseNamespaces(directory);
  });
  const task = { network: { mode: 'Cni' as const, networks: [{ name: 'x' }] } };
  const names =
    'hostname; cat /etc/hostname /etc/hosts /etc/resolv.conf; (echo x > /etc/hosts) 2>/dev/null && echo BAD';
  const expected = 'given\ngiven\n127.0.0.1 localhost\n10.0.0.7 given\nnameserver 10.0.0.1\n';

  testIf('is in the namespace, and sees the files, on the files of the host', async () => {
    const { stdout } = await node.run({ shell: `readlink /proc/self/ns/net; ${names}` }, { task, network });
    expect(stdout).toBe(`net:[${statSync(network.namespacePath!).ino}]\n${expected}`);
  });

  testIf('sees the files in an image that has none of them, and another with links in their place', async () => {
    expect((await node.run({ shell: names }, { task, network, image })).stdout).toBe(expected);
    const layer = image.layer({ etc: null });
    symlinkSync('/run/systemd/resolve/stub-resolv.conf', join(layer, 'etc/resolv.conf'));
    expect((await node.run({ shell: names }, { task, network, image })).stdout).toBe(expected);
  });

  testIf(
    'an ordinary user listens on port 80, sends echo requests, and two containers share the loopback',
    async () => {
      const server = node.spec({ shell: 'echo hello | nc -l -p 80' }, { task, network, image });
      await node.containerizer.launch(server);
      const client = 'for i in 1 2 3 4 5 6 7 8 9; do nc 127.0.0.1 80 2>/dev/null && break; sleep 0.3; done';
      const { stdout, stderr } = await node.run({ shell: client }, { task, network, image });
      expect({ stdout, stderr }).toEqual({ stdout: 'hello\n', stderr: '' });
      await node.containerizer.destroy(server.containerId);
      // Debian's program can do without privileges; busybox's cannot.
      if (!existsSync('/bin/ping')) return;
      const { stdout: echo } = await node.run(
        { shell: 'ping -c 1 -W 5 127.0.0.1 > /dev/null && echo pong' },
        { task, network },
      );
      expect(echo).toBe('pong\n');
    },
  );

  // Ids of its own: what the namespace allows does not depend on them, since it belongs to the host.
  (target.name === 'native' ? testIf : test.skip)('so does a user of a user namespace', async () => {
    const map = { hostId: 1_000_000, size: 65_536 };
    const part = { task, network, image, userNamespace: { uids: map, gids: map } };
    const user = { uid: 1000, gid: 1000, supplementalGids: [], name: 'own', home: '/' };
    const server = node.spec({ shell: 'id -u; echo hello | nc -l -p 80' }, { ...part, user });
    chownSync(server.sandbox, map.hostId + 1000, map.hostId + 1000);
    await node.containerizer.launch(server);
    const client = `${names}; for i in 1 2 3 4 5 6 7 8 9; do nc 127.0.0.1 80 2>/dev/null && break; sleep 0.3; done`;
    const { stdout, stderr } = await node.run({ shell: client }, { task, network, image });
    expect({ stdout, stderr, server: node.output(server) }).toEqual({
      stdout: `${expected}hello\n`,
      stderr: '',
      server: '1000\n',
    });
    await node.containerizer.destroy(server.containerId);
  });

  testIf('root in the container does not rule the network', async () => {
    // A new network has what the machine's own has.
    const forwarding = '/proc/sys/net/ipv4/ip_forward';
    const { stdout } = await node.run(
      {
        shell: `before=$(cat ${forwarding}); echo $((1 - before)) > ${forwarding} && echo BAD; [ $(cat ${forwarding}) = $before ] && echo kept`,
      },
      { task, network, image, user: { uid: 0, gid: 0, supplementalGids: [], name: 'root', home: '/' } },
    );
    expect(stdout).toBe('kept\n');
  });
});
