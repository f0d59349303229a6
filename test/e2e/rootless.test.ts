/** An agent of a user who is not root: in a cgroup that is delegated to him, and in one that is not. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { createApiClient } from '../../controllers/machinery/client/api-client.ts';
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { loadClusterConfig } from '../../controllers/machinery/client/kubeconfig.ts';
import { Agent, Secret, Task, Volume } from '../../controllers/machinery/client/resources.ts';
import { isTerminal } from '../../crds/task-states.ts';
import type { Task as TaskDocument } from '../../crds/types.generated.ts';
import { eventually } from './harness.ts';
import { busyboxLayout } from './oci-layout.ts';
import { makeUser, type TestUser } from './rootless-user.ts';

const isRoot = process.getuid?.() === 0;
const needsRoot = isRoot ? undefined : 'needs root, to make a user';
const isUnified = existsSync('/sys/fs/cgroup/cgroup.controllers');
const noDelegation = needsRoot ?? (isUnified ? undefined : 'needs a machine with cgroup v2 alone');
const describeIf = (why: string | undefined) => (why === undefined ? describe : describe.skip);
for (const why of new Set([needsRoot, noDelegation]))
  if (why) process.stderr.write(`rootless: skipped in part: ${why}\n`);

describeIf(needsRoot)('a user without a delegated cgroup', () => {
  let user: TestUser;
  beforeAll(() => {
    user = makeUser();
  });
  afterAll(() => user?.remove());

  test('is told so in one sentence, and nothing is made', () => {
    const { stderr, status } = user.run(['up', '--port', '0']);
    expect(status).toBe(6);
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringMatching(
        isUnified
          ? /^tepui: the cgroup of this command, \S+ is not delegated to you/
          : /^tepui: .* this machine has cgroup v1/,
      ),
    ]);
    expect(readdirSync(user.home).filter((name) => name !== '.cache')).toEqual([]);
  });
});

describeIf(noDelegation)('a user with a delegated cgroup', () => {
  let user: TestUser;
  let up: ChildProcess;
  let client: ApiClient;
  let output = '';
  beforeAll(async () => {
    user = makeUser();
    await start(user.cgroup);
    client = createApiClient(await loadClusterConfig({ kubeconfig: join(user.dataDir, 'kubeconfig') }));
  }, 90_000);
  afterAll(async () => {
    if (up?.exitCode === null && up.signalCode === null) up.kill('SIGKILL');
    await client?.close();
    user?.run(['down']);
    user?.remove();
  });

  /** On an emulated machine the first start takes longer than its own client waits, and Node itself is killed now and then: what it has made by then stays. */
  async function start(cgroup: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      output = '';
      const place = attempt === 1 ? cgroup : `${user.cgroup}/tepui-agent`;
      up = user.start(['up', '--port', '0', '--name', 'theirs'], place);
      for (const stream of [up.stdout, up.stderr])
        stream!.on('data', (chunk: Buffer) => {
          output += chunk.toString();
        });
      const hasEnded = () => up.exitCode !== null || up.signalCode !== null;
      const found = await eventually(
        'tepui up',
        () => (output.includes('Ready.') ? 'ready' : hasEnded() ? 'ended' : undefined),
        20_000,
      ).catch(() => 'hangs');
      if (found === 'ready') return;
      const isSlowness = up.signalCode !== null || /no answer within/.test(output);
      if (attempt === 4 || !isSlowness)
        throw new Error(`tepui up ${found}: code ${up.exitCode}, signal ${up.signalCode}:\n${output}`);
    }
  }

  let serial = 0;
  async function submit(container: object, spec: object = {}): Promise<string> {
    const name = `t${serial++}`;
    await client.create(Task, {
      apiVersion: 'tepui.dev/v1alpha1',
      kind: 'Task',
      metadata: { name, namespace: 'default' },
      spec: { containers: [{ name: 'main', ...container }], ...spec },
    } as never);
    return name;
  }
  const read = async (name: string) => (await client.get(Task, { namespace: 'default', name })) as TaskDocument;
  const until = (name: string, what: string, holds: (task: TaskDocument) => boolean) =>
    eventually(
      `task ${name} ${what}`,
      async () => {
        const task = await read(name);
        if (what !== 'to end' && isTerminal(task.status?.state))
          throw new Error(`it ended: ${JSON.stringify(task.status)}`);
        return holds(task) ? task : undefined;
      },
      15_000,
    );
  const toEnd = (name: string) => until(name, 'to end', (task) => isTerminal(task.status?.state));
  const toRun = (name: string) => until(name, 'to run', (task) => task.status?.state === 'Running');
  const outputOf = (task: TaskDocument) => readFileSync(join(task.status!.sandboxPath!, 'stdout'), 'utf8');
  const shell = async (line: string, container: object = {}, spec: object = {}) =>
    toEnd(await submit({ shell: line, ...container }, spec));
  const groups = () => globSync('**/', { cwd: user.cgroup }).sort();

  test('has an agent that says what it refuses, data that nobody else reads, and no task beside it', async () => {
    const agent = await client.get(Agent, { name: 'theirs' });
    expect(agent?.status?.platform?.features).toContain('rootless');
    expect(agent?.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'True', message: 'the agent runs tasks, without root' }),
    );
    const native = agent?.status?.containerizers?.find(({ name }) => name === 'native');
    expect(native?.unsupported).toEqual(
      expect.arrayContaining(['spec.containers[].devices', 'spec.network.mode', 'spec.containers[].resources.cpuset']),
    );
    expect(statSync(user.dataDir)).toMatchObject({ uid: user.uid });
    expect(statSync(user.dataDir).mode & 0o777).toBe(0o700);
    expect(readFileSync(`/proc/${up.pid}/cgroup`, 'utf8')).toMatch(/\/tepui-agent$/m);
  });

  test('runs a command as another id than his, contained, with the exit code told', async () => {
    writeFileSync(join(user.home, 'secret'), 'x');
    const line = `id -u; cat /proc/self/uid_map; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/pids.max; cat ${user.home}/secret; ls ${user.home}; echo x >/dev/null; exit 7`;
    const task = await shell(line, {
      resources: { requests: { cpus: '100m', mem: '32Mi' }, limits: { cpus: '500m', mem: '48Mi' } },
      pidsLimit: 50,
    });
    expect(task.status).toMatchObject({ state: 'Failed', exitCode: 7 });
    const [uid, first, second, ...rest] = outputOf(task).trim().split('\n');
    expect(uid).toBe('65534');
    expect([first, second].map((map) => map?.trim().split(/\s+/))).toEqual([
      ['0', String(user.uid), '1'],
      ['1', '200000', '65536'],
    ]);
    expect(rest).toEqual([String(48 * 2 ** 20), '50000 100000', '50']);
  });

  test('root in a task is he, without his home and without a privilege', async () => {
    const line = `id -u; ls ${user.home}; mount -t tmpfs x /tmp 2>/dev/null || echo no mount; chown 1 made 2>/dev/null; touch made; stat -c %u made`;
    const task = await shell(line, {}, { user: 'root' });
    expect(outputOf(task)).toBe('0\nno mount\n0\n');
    expect(statSync(join(task.status!.sandboxPath!, 'made')).uid).toBe(user.uid);
  });

  test('going over the memory limit ends a task with ContainerLimitationMemory', async () => {
    const task = await shell('x=$(head -c 100000000 /dev/zero | tr "\\0" x); echo "$x" | wc -c', {
      resources: { requests: { mem: '24Mi' }, limits: { mem: '24Mi' } },
    });
    expect(task.status).toMatchObject({ state: 'Failed', reason: 'ContainerLimitationMemory' });
  });

  test('volumes and secrets are there, and a network of its own', async () => {
    await client.create(Volume, {
      apiVersion: 'tepui.dev/v1alpha1',
      kind: 'Volume',
      metadata: { name: 'kept', namespace: 'default' },
      spec: { size: '16Mi', access: 'Shared', bindingMode: 'Immediate' },
    } as never);
    await client.create(Secret, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'key', namespace: 'default' },
      data: { word: Buffer.from('open').toString('base64') },
    } as never);
    const task = await shell(
      'echo kept >/kept/file; cat /kept/file; cat /key/word; echo; ls /sys/class/net; cat /proc/mounts | grep -c " /key "',
      {
        volumeMounts: [
          { name: 'kept', mountPath: '/kept' },
          { name: 'key', mountPath: '/key' },
        ],
      },
      {
        network: { mode: 'None' },
        volumes: [
          { name: 'kept', volume: { volumeName: 'kept' } },
          { name: 'key', secret: { secretName: 'key' } },
        ],
      },
    );
    expect(task.status).toMatchObject({ state: 'Finished' });
    expect(outputOf(task)).toBe('kept\nopen\nlo\n1\n');
  });

  test('an image is an overlay, with owners as they are in it', async () => {
    const layout = busyboxLayout(join(user.home, 'layout'), user.uid);
    if ('why' in layout) return void process.stderr.write(`rootless: images are left out: ${layout.why}\n`);
    await client.mergePatch(Agent, { name: 'theirs' }, { spec: { isolation: { allowedHostPaths: [layout.path] } } });
    const task = await shell(
      'id -u; ls /; cat /etc/motd; ls /removed | wc -l; stat -c %u /etc/motd; echo new >/etc/motd; cat /etc/motd',
      { image: `oci:${layout.path}:one`, security: { readOnlyRootFilesystem: false } },
      { user: '0' },
    );
    expect(task.status).toMatchObject({ state: 'Finished' });
    const [uid, ...rest] = outputOf(task).trim().split('\n');
    expect(uid).toBe('0');
    expect(rest.slice(-4)).toEqual(['hello', '1', '1000', 'new']);
  });

  test.each([
    ['spec.containers[0].security.privileged', { security: { privileged: true } }, {}],
    ['spec.containers[0].namespaces.pid', { namespaces: { pid: 'Host' } }, {}],
    ['spec.containers[0].resources.diskEnforcement', { resources: { diskEnforcement: 'File' } }, {}],
    ['spec.containers[0].resources.cpuset', { resources: { cpuset: '0' } }, {}],
  ])('what needs root, %s, is refused by its name', async (field, container, spec) => {
    const name = await submit({ command: ['true'], ...container }, { ...spec });
    const task = await eventually(
      'a refusal',
      async () => {
        const found = await read(name);
        return JSON.stringify(found.status ?? {}).includes(field) ? found : undefined;
      },
      15_000,
    );
    expect(task.status?.state ?? 'Staging').not.toBe('Running');
  });

  test('exec and logs reach a task; its agent may be killed, and takes it back', async () => {
    const name = await submit({ shell: 'echo begun; trap "exit 5" TERM; while :; do sleep 0.2; done' });
    const before = await toRun(name);
    expect(user.run(['exec', name, '--', 'sh', '-c', 'id -u; exit 3'])).toMatchObject({
      status: 3,
      stdout: '65534\n',
    });
    expect(user.run(['logs', name]).stdout).toBe('begun\n');
    const gone = new Promise((resolve) => up.once('exit', resolve));
    up.kill('SIGKILL');
    await gone;
    await start(`${user.cgroup}/tepui-agent`);
    await client.close();
    client = createApiClient(await loadClusterConfig({ kubeconfig: join(user.dataDir, 'kubeconfig') }));
    const after = await toRun(name);
    expect(after.status?.containerId).toBe(before.status?.containerId);
    expect(user.run(['exec', name, '--', 'true'])).toMatchObject({ status: 0 });
    // Its end is `down`'s affair.
  }, 90_000);

  test('down, from a cgroup that is not delegated, ends all, and leaves no process, cgroup or mount', async () => {
    const gone = new Promise((resolve) => up.once('exit', resolve));
    up.kill('SIGTERM');
    await gone;
    expect(groups().some((path) => /tepui\/\w+\/\w/.test(path))).toBe(true);
    expect(user.run(['down'])).toMatchObject({ status: 0, stderr: expect.not.stringContaining('rror') });
    expect(processesOf(user.uid)).toEqual([]);
    expect(readdirSync(join(user.runtimeDir, 'tepui'))).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(user.home);
    expect(groups()).toEqual(['.']);
  }, 60_000);
});

describeIf(noDelegation)('a user whose cgroup lacks a controller', () => {
  test('is told which, and how it is delegated', () => {
    const user = makeUser({ controllers: ['pids'] });
    try {
      const { stderr, status } = user.run(['up', '--port', '0'], user.cgroup);
      expect(status).toBe(6);
      expect(stderr).toMatch(/without the controllers cpu, memory, .*systemctl edit user@\.service/);
    } finally {
      user.remove();
    }
  });
});

function processesOf(uid: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        return new RegExp(`^Uid:\\s+${uid}\\b`, 'm').test(status)
          ? [`${pid} ${/^Name:\s+(.*)/m.exec(status)?.[1]}`]
          : [];
      } catch {
        return [];
      }
    });
}
