import { randomUUID } from 'node:crypto';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Task } from '../../../crds/types.generated.ts';
import type { LaunchSpec, UserNamespace } from '../../../runtime/containerizers/containerizer.ts';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { probeFileSystem } from '../../../runtime/launcher/probe.ts';
import { eventually, nobody, root, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { busyboxImage, noImages } from '../containerizers/image.ts';

const range = { hostId: 1_900_000_000, size: 65_536 };
const userNamespace: UserNamespace = { uids: range, gids: range };
const why = unavailable ?? (await probe());
const describeIf = why ? describe.skip : describe;
const withImage = noImages ? test.skip : test;

describeIf(`a container with user ids of its own (${why ?? 'root, idmapped mounts'})`, () => {
  let node: TestNode;
  let scratch: string;
  beforeAll(async () => {
    node = await startNode();
  });
  beforeEach(() => {
    scratch = mkdtempSync('/var/lib/tepui-scratch-');
  });
  afterEach(async () => {
    rmSync(scratch, { recursive: true });
    await node.containerizer.recover([]);
  });
  afterAll(() => node.close());

  const statusOf = (pid: number, name: string) =>
    new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!.split(/\s+/);
  async function launch(spec: LaunchSpec): Promise<number> {
    const { pid } = await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('ready'), 'start');
    return pid;
  }
  async function execIn({ containerId }: LaunchSpec, script: string): Promise<string> {
    const session = await node.containerizer.exec({
      containerId,
      argv: ['sh', '-c', script],
      tty: false,
      stdin: false,
    });
    let text = '';
    for await (const chunk of session.stdout) text += chunk;
    for await (const chunk of session.stderr ?? []) text += chunk;
    return text;
  }

  test('is root inside and nobody in particular on the host, the init and exec as well', async () => {
    const spec = node.spec(
      { shell: 'id -u; cat /proc/self/uid_map; echo ready; sleep 1000' },
      { user: root, userNamespace },
    );
    const { pid, userNamespace: ids } = await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('ready'), 'start');
    expect(ids).toEqual({ mode: 'Private' });
    expect(node.output(spec).split('\n')[0]).toBe('0');
    expect(node.output(spec)).toMatch(/^\s*0\s+1900000000\s+65536$/m);
    expect(statusOf(pid, 'Uid')).toEqual(Array(4).fill(String(range.hostId)));
    expect(statusOf(pid, 'Gid')).toEqual(Array(4).fill(String(range.hostId)));
    expect(await execIn(spec, 'id -u; cat /proc/self/uid_map')).toMatch(/^0\n\s*0\s+1900000000/);
    await node.containerizer.destroy(spec.containerId);
  });

  test.each([
    ['root', root, 0],
    ['nobody', nobody, 65534],
  ])('leaves plain ids on the disk, in the sandbox and in volumes (%s)', async (_, user, id) => {
    const volume = join(scratch, 'volume');
    mkdirSync(volume);
    chownSync(volume, user.uid, user.gid);
    writeFileSync(join(volume, 'old'), 'old\n');
    chownSync(join(volume, 'old'), user.uid, user.gid);
    const mounts = [{ source: volume, target: 'data', readOnly: false }];
    const spec = node.spec(
      { shell: 'touch own data/new; echo more >>data/old; stat -c "%u %U" own data/old .' },
      { user, userNamespace, mounts },
    );
    await node.containerizer.launch(spec);
    await node.containerizer.wait(spec.containerId);
    expect(node.output(spec, 'stderr')).toBe('');
    expect(
      node
        .output(spec)
        .split('\n')
        .slice(0, 3)
        .map((line) => Number(line.split(' ')[0])),
    ).toEqual([id, id, id]);
    expect(statSync(join(spec.sandbox, 'own')).uid).toBe(id);
    expect(statSync(join(volume, 'new')).uid).toBe(id);
    expect(readFileSync(join(volume, 'old'), 'utf8')).toBe('old\nmore\n');
  });

  test('root may do with its own files what root does, and nothing with those of the host', async () => {
    const script = `touch a; chown 33:33 a; stat -c %u:%g a; chmod 600 a; echo x >>a && cat a
      stat -c %u /etc/passwd; cat /etc/passwd >/dev/null && echo readable
      cat /etc/shadow /etc/gshadow 2>/dev/null; ls /root 2>/dev/null; chown 0 /etc 2>/dev/null && echo given
      unshare -m true 2>/dev/null && echo unshared; mount -t tmpfs x /tmp 2>/dev/null && echo mounted; true`;
    const { stdout } = await node.run({ shell: script }, { user: root, userNamespace });
    expect(stdout).toBe('33:33\nx\n65534\nreadable\n');
  });

  test('of files in volumes that belong to ids outside of its own it can change nothing', async () => {
    const file = join(scratch, 'foreign');
    writeFileSync(file, 'x');
    chownSync(file, 100_000, 100_000);
    const mounts = [{ source: scratch, target: '/data', readOnly: false }];
    const { stdout } = await node.run(
      { shell: 'stat -c %u /data/foreign; chown 0 /data/foreign 2>/dev/null || echo refused; cat /data/foreign' },
      { user: root, userNamespace, mounts },
    );
    expect(stdout).toBe('65534\nrefused\nx');
  });

  test('has /tmp, /dev/shm and a terminal of its own', async () => {
    const spec = node.spec(
      {
        shell:
          'stat -c "%u %n" /tmp /dev/shm /run /dev/null; touch /tmp/x /dev/shm/x && echo >/dev/null; tty; echo ready; sleep 1000',
        tty: true,
      },
      { user: root, userNamespace },
    );
    await launch(spec);
    expect(node.output(spec).replaceAll('\r', '')).toBe('0 /tmp\n0 /dev/shm\n0 /run\n0 /dev/null\n/dev/pts/0\nready\n');
    const session = await node.containerizer.exec({
      containerId: spec.containerId,
      argv: ['sh', '-c', 'stat -c %u $(tty); echo open >/dev/tty'],
      tty: true,
      stdin: false,
    });
    let text = '';
    for await (const chunk of session.stdout) text += chunk;
    expect(text.replaceAll('\r', '')).toBe('0\nopen\n');
    await node.containerizer.destroy(spec.containerId);
  });

  test('may use every port of its own network, and send echo requests', async () => {
    const script = `exec perl -MSocket -e 'socket(my $s, AF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(80, INADDR_ANY)) or die "port: $!";
      socket(my $i, AF_INET, SOCK_DGRAM, 1) or die "icmp: $!"; print "both\\n"'`;
    for (const user of [root, nobody]) {
      const { stdout, stderr } = await node.run(
        { shell: script },
        { user, userNamespace, task: { network: { mode: 'None' } } },
      );
      expect(stdout + stderr).toBe('both\n');
    }
  });

  withImage('has the files of an image as they are there, and may change its writable root like root', async () => {
    const image = busyboxImage();
    const layer = image.layer({ 'srv/www': 'page', 'etc/config': 'one' });
    chownSync(join(layer, 'srv/www'), 33, 33);
    const script = `stat -c "%u %n" / /bin /bin/busybox /srv/www /proc /mnt/tepui /etc/hosts; echo two >/etc/config && chown 5:5 /etc/config && rm /srv/www
      stat -c "%u" /etc/config; mkdir /new && touch /new/x && echo made`;
    for (const readOnlyRootFilesystem of [true, false]) {
      const { stdout } = await node.run(
        { shell: script, security: { readOnlyRootFilesystem } },
        { user: root, userNamespace, image },
      );
      expect(stdout).toBe(
        `0 /\n0 /bin\n0 /bin/busybox\n33 /srv/www\n65534 /proc\n0 /mnt/tepui\n0 /etc/hosts\n${readOnlyRootFilesystem ? '0\n' : '5\nmade\n'}`,
      );
    }
    expect(statSync(join(layer, 'etc/config')).uid).toBe(0);
    image.remove();
  });

  withImage('has a copy of the image where overlay cannot be written to', async () => {
    const other = await startNode({ options: { features: { overlay: 'not here' } } });
    const image = busyboxImage();
    image.layer({ 'etc/config': 'one' });
    chownSync(join(image.layers[0]!, 'etc/config'), 7, 7);
    const result = [];
    for (const ids of [{}, { userNamespace }]) {
      const { stdout, stderr } = await other.run(
        {
          shell: 'stat -c %u / /etc/config; echo two >/etc/config; cat /etc/config; grep " / " /proc/self/mounts',
          security: { readOnlyRootFilesystem: false },
        },
        { user: root, image, ...ids },
      );
      result.push(stderr, stdout.split('\n').slice(0, 3).join(), /overlay/.test(stdout));
    }
    image.remove();
    await other.close();
    expect(result).toEqual(['', '0,7,two', false, '', '0,7,two', false]);
  });

  test('where a file system cannot map ids, Auto takes those of the host and Private is refused by name', async () => {
    const mounts = [{ source: '/sys/kernel', target: '/data', readOnly: true }];
    const spec = node.spec({ shell: 'echo ready; sleep 1000' }, { user: nobody, userNamespace, mounts });
    const { pid, userNamespace: ids } = await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('ready'), 'start');
    expect(ids).toEqual({ mode: 'Host', message: expect.stringContaining('/sys/kernel cannot map user ids') });
    expect(statusOf(pid, 'Uid')[0]).toBe('65534');
    expect(await execIn(spec, 'id -u')).toBe('65534\n');
    await node.containerizer.destroy(spec.containerId);
    await expect(
      node.run({ shell: 'true', security: { userNamespace: 'Private' } }, { userNamespace, mounts }),
    ).rejects.toThrow(/^security.userNamespace: Private cannot be done here: .*\/sys\/kernel cannot map user ids/);
  });

  test.each<[string, Parameters<TestNode['spec']>[0], Parameters<TestNode['spec']>[1], RegExp]>([
    ['no ids of its task', {}, { userNamespace: undefined }, /gave the task no ids/],
    ['a user beyond its ids', {}, { user: { ...nobody, uid: 70_000 } }, /70000/],
    [
      'a capability that is about the host',
      { security: { capabilities: { effective: ['IPC_LOCK'] } } },
      { user: root },
      /IPC_LOCK/,
    ],
    ['processes of the host', { namespaces: { pid: 'Host' } }, {}, /namespaces.pid/],
    ['privileges of the host', { security: { privileged: true } }, { user: root }, /is privileged/],
  ])('with %s, Auto means the ids of the host and Private is refused', async (_, container, part, message) => {
    const merged = (userNamespaceMode: 'Auto' | 'Private') => ({
      shell: 'wc -l </proc/self/uid_map; cut -c1-60 /proc/self/uid_map',
      ...container,
      security: { ...container.security, userNamespace: userNamespaceMode },
    });
    const spec = node.spec(merged('Auto'), { userNamespace, ...part });
    expect((await node.containerizer.launch(spec)).userNamespace).toEqual({
      mode: 'Host',
      message: expect.stringMatching(message),
    });
    await node.containerizer.wait(spec.containerId);
    const stdout = node.output(spec);
    await node.containerizer.destroy(spec.containerId);
    expect(stdout).toMatch(/\s0\s+0\s+4294967295/);
    await expect(node.run(merged('Private'), { userNamespace, ...part })).rejects.toThrow(message);
  });

  test('Host takes the ids of the host, whatever the task was given', async () => {
    const { stdout } = await node.run(
      { shell: 'cat /proc/self/uid_map', security: { userNamespace: 'Host' } },
      { userNamespace },
    );
    expect(stdout).toMatch(/\s0\s+0\s+4294967295/);
  });

  test('shares memory with the other containers of its task', async () => {
    const groupId = randomUUID();
    const containers = [{ name: 'first' }, { name: 'second' }];
    const task = { metadata: { name: 'pod', namespace: 'default' }, spec: { containers } } as unknown as Task;
    const member = (name: string, shell: string): LaunchSpec => ({
      ...node.spec({ name, shell, namespaces: { pid: 'Task' } }, { user: root, userNamespace }),
      containerId: `${groupId}.${name}`,
      groupId,
      task,
    });
    await node.containerizer.prepareGroup!({ groupId, task, userNamespace });
    const first = member('first', 'stat -c %u /dev/shm; echo word >/dev/shm/x; echo ready; sleep 1000');
    await launch(first);
    const second = member('second', 'cat /dev/shm/x; stat -c %u /dev/shm/x');
    await node.containerizer.launch(second);
    await node.containerizer.wait(second.containerId);
    expect(node.output(first)).toBe('0\nready\n');
    expect(node.output(second) + node.output(second, 'stderr')).toBe('word\n0\n');
  });

  test('of a task whose containers are all privileged, shared memory belongs to root of the host', async () => {
    const groupId = randomUUID();
    const containers = [{ name: 'first', security: { privileged: true } }];
    const task = { metadata: { name: 'pod', namespace: 'default' }, spec: { containers } } as unknown as Task;
    await node.containerizer.prepareGroup!({ groupId, task, userNamespace });
    const spec = {
      ...node.spec({ ...containers[0]!, shell: 'stat -c %u /dev/shm' }, { user: root, userNamespace }),
      containerId: `${groupId}.first`,
      groupId,
      task,
    };
    expect((await node.containerizer.launch(spec)).userNamespace?.mode).toBe('Host');
    await node.containerizer.wait(spec.containerId);
    expect(node.output(spec)).toBe('0\n');
    await node.containerizer.destroyGroup!(groupId);
  });

  test('is entered by exec also after a restart of the agent', async () => {
    const spec = node.spec({ shell: 'echo ready; sleep 1000' }, { user: root, userNamespace });
    await launch(spec);
    await node.restart();
    await node.containerizer.recover([spec.containerId]);
    expect(await execIn(spec, 'id -u; cat /proc/self/uid_map')).toMatch(/^0\n\s*0\s+1900000000/);
    await node.containerizer.destroy(spec.containerId);
  });
});

async function probe(): Promise<string | undefined> {
  const directory = mkdtempSync('/var/lib/tepui-probe-');
  const { userNamespaces } = await probeFileSystem(await buildLauncher(), directory);
  rmSync(directory, { recursive: true });
  return userNamespaces;
}
