/**
 * The same controllers and agent against a genuine Kubernetes API server: $KUBECONFIG says which. Flavour `crd` has custom resources only (no namespaces,
 * no garbage collector; leases and events are stand-in CRDs), `full` is an old but whole server, `cluster` is the user's own.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { leftovers } from '../../cli/demo/leftovers.ts';
import { cliCommand } from '../../cli/self.ts';
import { createApiClient } from '../../controllers/machinery/client/api-client.ts';
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { loadClusterConfig } from '../../controllers/machinery/client/kubeconfig.ts';
import { Agent, Framework, Lease, Task, Volume } from '../../controllers/machinery/client/resources.ts';
import { eventually } from '../e2e/harness.ts';
import { sharedTool } from '../setup/shared-tools.ts';

const flavour = process.env.TEPUI_TEST_FLAVOUR ?? 'cluster';
const ROOT = new URL('../..', import.meta.url).pathname;
const namespace = `tepui-test-${process.pid}`;
const agentName = `test-${process.pid}`;
const dataDir = realpathSync(mkdtempSync(join(tmpdir(), 'tepui-k8s-')));
const processes: ChildProcess[] = [];
let client: ApiClient;

beforeAll(async () => {
  client = createApiClient(await loadClusterConfig({ kubeconfig: process.env.KUBECONFIG as string }));
  if (flavour === 'crd') {
    const standins = join(sharedTool('real-apiserver.sh') as string, '..', 'real-apiserver', 'standins');
    for (const file of readdirSync(standins)) kubectl(['apply', '--validate=false', '-f', join(standins, file)]);
  } else {
    kubectl(['create', 'namespace', namespace]);
    for (const name of ['tepui-system', 'tepui-agent-leases']) kubectl(['create', 'namespace', name]);
  }
  const applied = kubectl(['apply', '--validate=false', ...crdFiles().flatMap((file) => ['-f', file])]);
  expect(applied.stderr).not.toMatch(/error/i);
  for (const file of crdFiles())
    expect(kubectl(['wait', '--for=condition=Established', '--timeout=30s', '-f', file]).status).toBe(0);
  start('controller', ['controller', '--leader-elect']);
  start('agent', ['agent', '--data-dir', dataDir, '--name', agentName]);
  await eventually(
    'the agent to be ready',
    async () =>
      (await client.get(Agent, { name: agentName }))?.status?.conditions?.some(
        (condition) => condition.type === 'Ready' && condition.status === 'True',
      )
        ? true
        : undefined,
    60_000,
  );
}, 120_000);

afterAll(async () => {
  for (const resource of [Framework, Task, Volume])
    for (const { metadata } of (await client.list<{ metadata?: { name?: string } }>(resource as never, { namespace }))
      .items)
      await client.delete(resource as never, { namespace, name: metadata?.name as string });
  await eventually(
    'the tasks to be gone',
    async () => ((await client.list(Task, { namespace })).items.length === 0 ? true : undefined),
    30_000,
  ).catch(() => {});
  for (const child of processes) {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.kill('SIGTERM')) await gone;
  }
  tepui(['down', '--data-dir', dataDir]);
  await client.delete(Agent, { name: agentName });
  if (flavour !== 'crd') kubectl(['delete', 'namespace', namespace, '--wait=false']);
  await client.close();
  const left = leftovers(dataDir);
  rmSync(dataDir, { recursive: true, force: true });
  expect(left).toEqual({ processes: [], cgroups: [], mounts: [], runtime: [] });
}, 120_000);

test('the agent renews a lease of its own', async () => {
  const lease = await client.get(Lease, { namespace: 'tepui-agent-leases', name: agentName });
  expect(lease?.spec?.renewTime).toBeDefined();
});

test('a service gets its replicas, scales and rolls out', async () => {
  await client.create(
    Framework,
    framework('web', { type: 'Service', replicas: 2 }, "trap 'exit 0' TERM; sleep 1000 & wait"),
  );
  await eventually('two replicas', async () =>
    (await client.get(Framework, { namespace, name: 'web' }))?.status?.readyReplicas === 2 ? true : undefined,
  );
  expect(kubectl(['-n', namespace, 'scale', 'framework/web', '--replicas=3']).status).toBe(0);
  await eventually('three replicas', async () =>
    (await client.get(Framework, { namespace, name: 'web' }))?.status?.readyReplicas === 3 ? true : undefined,
  );
  const before = new Set((await running('web')).map((task) => task.metadata?.uid));
  await client.mergePatch(
    Framework,
    { namespace, name: 'web' },
    { spec: { template: { metadata: { labels: { changed: 'yes' } } } } },
  );
  await eventually(
    'all replicas to be new',
    async () => {
      const tasks = await running('web');
      return tasks.length === 3 && tasks.every((task) => !before.has(task.metadata?.uid)) ? true : undefined;
    },
    60_000,
  );
});

test('an indexed job completes, and its failures are counted', async () => {
  await client.create(
    Framework,
    framework(
      'job',
      { type: 'Job', job: { completions: 3, parallelism: 3, completionMode: 'Indexed' } },
      'echo $TEPUI_TASK_INDEX',
    ),
  );
  const done = await eventually('the job to succeed', async () => {
    const found = await client.get(Framework, { namespace, name: 'job' });
    return found?.status?.conditions?.some((condition) => condition.type === 'Succeeded' && condition.status === 'True')
      ? found
      : undefined;
  });
  expect(done.status?.completedIndexes).toBe('0-2');
});

test('a task over its memory limit says so', async () => {
  await client.create(Task, {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Task',
    metadata: { name: 'greedy', namespace },
    spec: {
      placement: { agentName },
      containers: [
        { name: 'main', command: ['tail', '/dev/zero'], resources: { requests: { cpus: '50m', mem: '16Mi' } } },
      ],
    },
  });
  const task = await eventually('it to fail', async () => {
    const found = await client.get(Task, { namespace, name: 'greedy' });
    return found?.status?.state === 'Failed' ? found : undefined;
  });
  expect(task.status?.reason).toBe('ContainerLimitationMemory');
});

test('an unplaced task says why, in kubectl describe too', async () => {
  await client.create(Task, {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Task',
    metadata: { name: 'huge', namespace },
    spec: {
      containers: [{ name: 'main', command: ['true'], resources: { requests: { cpus: '9000', mem: '16Mi' } } }],
    },
  });
  await eventually('a reason', async () =>
    (await client.get(Task, { namespace, name: 'huge' }))?.status?.placement?.reasons?.length ? true : undefined,
  );
  expect(kubectl(['-n', namespace, 'describe', 'task', 'huge']).stdout).toMatch(/insufficient cpus/i);
});

test('deleting a framework deletes its tasks, and a retained volume keeps its data', async () => {
  await client.create(Volume, {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Volume',
    metadata: { name: 'keep', namespace },
    spec: { size: '1Mi', reclaimPolicy: 'Retain' },
  });
  await client.create(
    Framework,
    framework('writer', { type: 'Job' }, 'echo kept > data/file', [{ name: 'data', volume: { volumeName: 'keep' } }]),
  );
  const path = await eventually('the job to write', async () => {
    const volume = await client.get(Volume, { namespace, name: 'keep' });
    const file = join(volume?.status?.path ?? '/nonexistent', 'file');
    return existsSync(file) && readFileSync(file, 'utf8') === 'kept\n' ? file : undefined;
  });
  for (const name of ['writer', 'web', 'job'])
    await client.delete(Framework, { namespace, name }, { propagationPolicy: 'Background' });
  await eventually(
    'their tasks to be gone',
    async () =>
      (await client.list(Task, { namespace })).items.every((task) => !task.spec.frameworkName) ? true : undefined,
    30_000,
  );
  await client.delete(Volume, { namespace, name: 'keep' });
  await eventually('the volume to be gone', async () =>
    (await client.get(Volume, { namespace, name: 'keep' })) === undefined ? true : undefined,
  );
  expect(readFileSync(path, 'utf8')).toBe('kept\n');
});

async function running(name: string): Promise<Task[]> {
  const { items } = await client.list(Task, { namespace, labelSelector: `tepui.dev/framework=${name}` });
  return items.filter((task) => task.status?.state === 'Running');
}

function framework(
  name: string,
  spec: Partial<Framework['spec']>,
  shell: string,
  volumes?: NonNullable<Task['spec']['volumes']>,
): Framework {
  const mounts = volumes?.map((volume) => ({ name: volume.name, mountPath: volume.name }));
  return {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Framework',
    metadata: { name, namespace },
    spec: {
      ...spec,
      template: {
        spec: {
          placement: { agentName },
          ...(volumes ? { volumes } : {}),
          containers: [
            {
              name: 'main',
              shell,
              ...(mounts ? { volumeMounts: mounts } : {}),
              resources: { requests: { cpus: '20m', mem: '16Mi' } },
            },
          ],
        },
      },
    },
  };
}

function crdFiles(): string[] {
  return readdirSync(join(ROOT, 'crds'))
    .filter((file) => /^tepui\.dev_.*\.yaml$/.test(file))
    .map((file) => join(ROOT, 'crds', file));
}

function start(name: string, args: string[]): void {
  const log = openSync(join(dataDir, `${name}.log`), 'a');
  const [command, ...rest] = cliCommand(args);
  processes.push(spawn(command as string, rest, { stdio: ['ignore', log, log] }));
  closeSync(log);
}

function tepui(args: string[]) {
  const [command, ...rest] = cliCommand(args);
  return spawnSync(command as string, rest, { encoding: 'utf8' });
}

function kubectl(args: string[]) {
  return spawnSync('kubectl', args, { encoding: 'utf8' });
}
