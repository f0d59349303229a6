import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Task } from '../../../../crds/types.generated.ts';
import { taskField } from '../../../../runtime/agent/tasks/env-sources.ts';
import { buildEnvironment } from '../../../../runtime/agent/tasks/environment.ts';
import { containerResources } from '../../../../runtime/agent/tasks/launch.ts';
import { MountInvalid, resolveMounts } from '../../../../runtime/agent/tasks/mounts.ts';
import { createSandbox, listSandboxes, removeSandbox, sandboxPath } from '../../../../runtime/agent/tasks/sandbox.ts';
import { resolveUser, UserUnknown } from '../../../../runtime/agent/tasks/user.ts';
import { taskProblems } from '../../../../runtime/agent/tasks/validate.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-inputs-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const taskOf = (spec: Partial<Task['spec']>): Task => ({
  metadata: { name: 'web-1', namespace: 'shop', uid: 'u-1', labels: { tier: 'front' } },
  spec: { containers: [{ name: 'main', command: ['true'] }], ...spec },
});
const policy = {
  allowPrivileged: false,
  allowHostNamespaces: false,
  allowedHostPaths: ['/srv/data'],
  allowUnconfined: false,
};

describe('the environment', () => {
  const build = (task: Task, resolved = {}) =>
    buildEnvironment({
      task,
      container: task.spec.containers[0]!,
      agent: { name: 'a1', agentId: 'id-1', hostname: 'host-1' },
      containerId: 'c-1',
      sandbox: '/s',
      user: { name: 'nobody', home: '/s' },
      resolved,
    });

  test("names the task for Tepui's and for Mesos's programs, and the document's own variables win", () => {
    const env = build(taskOf({ frameworkName: 'web', index: 1 }), { HOME: '/mine', SECRET: 'x' });
    expect(env).toMatchObject({
      TEPUI_TASK_NAME: 'web-1',
      TEPUI_NAMESPACE: 'shop',
      TEPUI_TASK_INDEX: '1',
      MESOS_SANDBOX: '/s',
      MESOS_AGENT_ID: 'id-1',
      MESOS_FRAMEWORK_ID: 'web',
      HOST: 'host-1',
      USER: 'nobody',
      HOME: '/mine',
      SECRET: 'x',
    });
  });

  test('has the allocated ports by position and by name', () => {
    const hostPorts = [
      { container: 'main', name: 'http', hostPort: 31005 },
      { container: 'other', name: 'x', hostPort: 31006 },
      { container: 'main', name: 'http-admin', hostPort: 31007 },
    ];
    const env = build(taskOf({ binding: { agentName: 'a1', hostPorts } }));
    expect(env).toMatchObject({
      PORT: '31005',
      PORT0: '31005',
      PORT1: '31007',
      PORTS: '31005,31007',
      PORT_HTTP: '31005',
      PORT_HTTP_ADMIN: '31007',
    });
    expect(build(taskOf({}))).not.toHaveProperty('PORT');
  });

  test('has the ports to listen on in a network of its own, and the host ports that lead there', () => {
    const ports = [
      { name: 'http', containerPort: 80 },
      { name: 'same', protocol: 'UDP' as const },
    ];
    const hostPorts = [
      { container: 'main', name: 'http', hostPort: 31005 },
      { container: 'main', name: 'same', hostPort: 31006 },
    ];
    const own = (mode: 'Cni' | 'None', binding = {}) => {
      const task = taskOf({ network: { mode }, ...binding });
      return build({ ...task, spec: { ...task.spec, containers: [{ ...task.spec.containers[0]!, ports }] } });
    };
    expect(own('Cni', { binding: { agentName: 'a1', hostPorts } })).toMatchObject({
      PORT: '80',
      PORT_HTTP: '80',
      PORT_SAME: '31006',
      HOST_PORT_HTTP: '31005',
      HOST_PORT_SAME: '31006',
    });
    expect(own('None')).toMatchObject({ PORTS: '80' });
    expect(own('None')).not.toHaveProperty('HOST_PORT_HTTP');
  });

  test('field references read the named fields, and an absent label is empty', () => {
    const task = taskOf({ index: 4 });
    expect(
      ['metadata.name', 'spec.index', "metadata.labels['tier']", "metadata.labels['no']"].map((path) =>
        taskField(task, path),
      ),
    ).toEqual(['web-1', '4', 'front', '']);
  });
});

describe('users', () => {
  const files = () => {
    const passwd = join(directory, 'passwd');
    const group = join(directory, 'group');
    writeFileSync(passwd, 'root:x:0:0::/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\n# comment\n');
    writeFileSync(group, 'root:x:0:\nann:x:1001:\ndocker:x:99:bob,ann\nstaff:x:50:\n');
    return { passwd, group };
  };

  test('are found by name with their groups, by number, and with another group', () => {
    expect(resolveUser('ann', files())).toEqual({
      uid: 1000,
      gid: 1001,
      supplementalGids: [99],
      name: 'ann',
      home: '/home/ann',
    });
    expect(resolveUser('1000', files())).toMatchObject({ name: 'ann', gid: 1001 });
    expect(resolveUser('4242', files())).toEqual({
      uid: 4242,
      gid: 4242,
      supplementalGids: [],
      name: '4242',
      home: '/',
    });
    expect(resolveUser('ann:staff', files())).toMatchObject({ uid: 1000, gid: 50, supplementalGids: [] });
    expect(resolveUser('7:8', files())).toMatchObject({ uid: 7, gid: 8 });
  });

  test('are passed over where their line has no id, which is never taken for that of root', () => {
    const odd = { passwd: join(directory, 'odd-passwd'), group: files().group };
    writeFileSync(odd.passwd, 'bob:x::100::/home/bob:/bin/sh\n+nis:x:::::\nann:x:1000:1001::/home/ann:/bin/sh\n');
    expect(() => resolveUser('bob', odd)).toThrow(UserUnknown);
    expect(resolveUser('ann', odd).uid).toBe(1000);
  });

  test.each(['nosuch', 'ann:nosuch', '4294967295', '1:4294967295', ''])('"%s" is refused', (text) => {
    expect(() => resolveUser(text, files())).toThrow(UserUnknown);
  });
});

describe('sandboxes', () => {
  const key = { namespace: 'shop', task: 'web-1', groupId: 'c-1' };

  test('belong to the user, nobody else can enter, and latest points to the newest', async () => {
    const path = await createSandbox(directory, key, { uid: 65534, gid: 65534 });
    expect(path).toBe(join(directory, 'shop/web-1/runs/c-1'));
    const { uid, gid, mode } = statSync(path);
    expect([uid, gid, mode & 0o777]).toEqual([65534, 65534, 0o750]);
    expect(statSync(join(path, '..')).uid).toBe(process.getuid!());
    await createSandbox(directory, { ...key, groupId: 'c-2' }, { uid: 0, gid: 0 });
    expect(readlinkSync(join(directory, 'shop/web-1/latest'))).toBe('runs/c-2');
  });

  test('are removed with what of the path is then empty, and never through a link', async () => {
    const outside = join(directory, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'file'), 'precious');
    const root = join(directory, 'root');
    const path = await createSandbox(root, key, { uid: 0, gid: 0 });
    symlinkSync(outside, join(path, 'link'));
    mkdirSync(join(path, 'deep/er'), { recursive: true });
    await createSandbox(root, { ...key, groupId: 'c-2' }, { uid: 0, gid: 0 });
    await removeSandbox(root, key);
    expect(await listSandboxes(root)).toEqual([{ ...key, groupId: 'c-2' }]);
    await removeSandbox(root, { ...key, groupId: 'c-2' });
    await removeSandbox(root, key);
    expect(existsSync(join(root, 'shop'))).toBe(false);
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('precious');
  });

  test('are removed whatever the task named its files, also below paths that are too long', async () => {
    const root = join(directory, 'sandboxes');
    const path = await createSandbox(root, key, { uid: 0, gid: 0 });
    // Each is made from within its parent: the whole path is longer than the kernel takes.
    execFileSync('sh', ['-c', 'for i in $(seq 20); do n=$(printf "%0250d\\377" $i); mkdir "$n"; cd "$n"; done; >x'], {
      cwd: path,
    });
    await removeSandbox(root, key);
    expect(existsSync(join(root, 'shop'))).toBe(false);
  });

  test.each(['..', '.', '', 'a/b', 'a\0b'])('"%s" is no part of their path', (name) => {
    expect(() => sandboxPath(directory, { ...key, task: name })).toThrow('sandbox path');
  });
});

describe('mounts', () => {
  const mountsOf = (task: Task) =>
    resolveMounts(task, task.spec.containers[0]!, {
      sandbox: directory,
      owner: { uid: 0, gid: 0 },
      volumePath: async (name) => (name === 'data' ? directory : undefined),
      allowedHostPaths: ['/no', directory],
    });
  const mounting = (volume: object, mount: object = {}): Task =>
    taskOf({
      containers: [{ name: 'main', volumeMounts: [{ name: 'v', mountPath: '/m', ...mount }] }],
      volumes: [{ name: 'v', ...volume }],
    });

  test('resolve volumes, sub-paths and sandbox paths', async () => {
    expect(await mountsOf(mounting({ volume: { volumeName: 'data' } }, { subPath: 'a/b', readOnly: true }))).toEqual([
      { source: join(directory, 'a/b'), root: directory, target: '/m', readOnly: true },
    ]);
    expect(await mountsOf(mounting({ sandboxPath: { path: 'cache' } }))).toEqual([
      { source: join(directory, 'cache'), root: directory, target: '/m', readOnly: false },
    ]);
  });

  test('do not follow a link out of the volume', async () => {
    symlinkSync('/etc', join(directory, 'out'));
    await expect(mountsOf(mounting({ volume: { volumeName: 'data' } }, { subPath: 'out' }))).rejects.toThrow(
      'leads out of the volume',
    );
    await expect(mountsOf(mounting({ volume: { volumeName: 'data' } }, { subPath: '../x' }))).rejects.toThrow(
      MountInvalid,
    );
  });

  test('say which volume or host path is missing', async () => {
    await expect(mountsOf(mounting({ volume: { volumeName: 'other' } }))).rejects.toThrow(
      'volume "other" is not available on this agent',
    );
    await expect(mountsOf(mounting({ hostPath: { path: '/no/such', type: 'Directory' } }))).rejects.toThrow(
      '/no/such does not exist',
    );
  });
});

describe('validation', () => {
  const problems = (spec: Partial<Task['spec']>) => taskProblems(taskOf(spec), policy);

  test('names the field of what can never work', () => {
    const container = { name: 'main', command: ['true'] };
    const check = { http: { portName: 'web' } };
    const uris = [{ value: 'ftp://x/y' }];
    expect(problems({ containers: [{ ...container, healthCheck: check, uris }] })).toEqual([
      expect.stringMatching(/^spec\.containers\[0\]\.healthCheck\.http\.portName: /),
      expect.stringMatching(/^spec\.containers\[0\]\.uris\[0\]: /),
    ]);
    expect(problems({ containers: [container], initContainers: [{ name: 'i', command: ['true'], check }] })).toEqual([
      expect.stringMatching(/^spec\.initContainers\[0\]\.check: an init container has no checks/),
      expect.stringMatching(/^spec\.initContainers\[0\]\.check\.http\.portName: /),
    ]);
    expect(problems({ restartPolicy: { condition: 'Always' } })).toEqual([]);
    expect(problems({})).toEqual([]);
  });

  test("keeps to the operator's policy", () => {
    const hostPath = (path: string) => problems({ volumes: [{ name: 'v', hostPath: { path } }] });
    expect(hostPath('/srv/data/x')).toEqual([]);
    expect(hostPath('/srv/data')).toEqual([]);
    expect(hostPath('/srv/data/../other')[0]).toContain('this agent does not allow');
    const image = (reference: string) => problems({ containers: [{ name: 'm', image: reference }] });
    expect([image('docker.io/app:1'), image('oci:/srv/data/x')]).toEqual([[], []]);
    expect(image('oci-archive:/srv/x.tar')).toEqual([
      'spec.containers[0].image: this agent does not allow /srv/x.tar (Agent spec.isolation.allowedHostPaths)',
    ]);
    expect(image('UPPER::x')[0]).toMatch(/^spec\.containers\[0\]\.image: "UPPER::x" is no image reference/);
    expect(problems({ volumes: [{ name: 'v', image: { reference: '@' } }] })[0]).toContain(
      'spec.volumes[0].image.reference',
    );
    expect(hostPath('/srv/database')[0]).toContain('spec.volumes[0].hostPath.path');
    expect(
      problems({ containers: [{ name: 'm', namespaces: { pid: 'Host' }, security: { privileged: true } }] }),
    ).toHaveLength(2);
  });
});

describe('resources of a container', () => {
  test('have the documented defaults, and a memory limit equal to the request', () => {
    expect(containerResources({ name: 'm' }, 4096)).toEqual({
      requests: { cpus: 0.1, memBytes: 2 ** 27 },
      limits: { memBytes: 2 ** 27 },
      pids: 4096,
    });
    const resources = { requests: { cpus: '1500m', mem: '64Mi' }, limits: { cpus: 'Infinity', mem: '1Gi' } };
    expect(containerResources({ name: 'm', resources, pidsLimit: 5 })).toEqual({
      requests: { cpus: 1.5, memBytes: 2 ** 26 },
      limits: { cpus: Number.POSITIVE_INFINITY, memBytes: 2 ** 30 },
      pids: 5,
    });
  });
});
