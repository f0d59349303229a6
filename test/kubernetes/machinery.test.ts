/** What the controllers' machinery takes for granted, checked against a genuine Kubernetes API server: $KUBECONFIG says which. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { createApiClient } from '../../controllers/machinery/client/api-client.ts';
import type { ApiClient, ApiObject } from '../../controllers/machinery/client/client.ts';
import { isAlreadyExists, isConflict, isExpired } from '../../controllers/machinery/client/errors.ts';
import { loadClusterConfig } from '../../controllers/machinery/client/kubeconfig.ts';
import { CustomResourceDefinition, Event, Namespace, Task } from '../../controllers/machinery/client/resources.ts';
import { createEventRecorder } from '../../controllers/machinery/events/recorder.ts';
import { addFinalizer, removeFinalizer } from '../../controllers/machinery/finalizers.ts';
import { silentLogger } from '../../controllers/machinery/logger.ts';
import { Manager } from '../../controllers/machinery/manager/manager.ts';
import { done } from '../../controllers/machinery/outcome.ts';
import { patchStatus } from '../../controllers/machinery/status.ts';
import { createInformer } from '../../controllers/machinery/store/informer.ts';
import { eventually } from '../controllers/machinery/eventually.ts';
import { installCrds } from '../controllers/machinery/test-server.ts';
import { sharedTool } from '../setup/shared-tools.ts';

const isCrdOnly = process.env.TEPUI_TEST_FLAVOUR === 'crd';
const namespace = `tepui-machinery-${process.pid}`;
let client: ApiClient;

beforeAll(async () => {
  client = createApiClient(await loadClusterConfig({ kubeconfig: process.env.KUBECONFIG as string }));
  if (isCrdOnly) await installStandIns();
  else await client.create(Namespace, { metadata: { name: namespace } });
  await installCrds(client);
}, 60_000);

afterAll(async () => {
  for (const { metadata } of (await client.list(Task, { namespace })).items)
    await client.delete(Task, { namespace, name: metadata.name! });
  if (!isCrdOnly) await client.delete(Namespace, { name: namespace });
  await client.close();
});

/** CRDs in the place of leases and events. */
async function installStandIns(): Promise<void> {
  const directory = join(sharedTool('real-apiserver.sh') as string, '..', 'real-apiserver', 'standins');
  for (const file of readdirSync(directory)) {
    await client
      .create(CustomResourceDefinition, parse(readFileSync(join(directory, file), 'utf8')))
      .catch((error: unknown) => {
        if (!isAlreadyExists(error)) throw error;
      });
  }
}

const make = (name: string, labels: Record<string, string> = {}) =>
  client.create(Task, {
    metadata: { namespace, name, labels },
    spec: { containers: [{ name: 'main', command: ['true'] }] },
  });
const caught = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

test('a list is complete over many pages, and a watch goes on from it', async () => {
  for (let index = 0; index < 7; index++) await make(`page-${index}`, { test: 'page' });
  const abort = new AbortController();
  const { runWatcher } = await import('../../controllers/machinery/watcher/run.ts');
  const { systemClock } = await import('../../controllers/machinery/clock.ts');
  const events: string[] = [];
  const running = runWatcher(
    {
      client,
      resource: Task,
      namespace,
      labelSelector: 'test=page',
      clock: systemClock,
      pageSize: 3,
      onEvent: (event) => events.push('object' in event ? `${event.kind} ${event.object.metadata.name}` : event.kind),
    },
    abort.signal,
  );
  const listed = ['init', ...Array.from({ length: 7 }, (_, index) => `initApply page-${index}`), 'initDone'];
  await eventually(() => expect(events).toEqual(listed));
  await client.delete(Task, { namespace, name: 'page-3' });
  await eventually(() => expect(events).toEqual([...listed, 'delete page-3']));
  abort.abort();
  await running;
});

test('a watch that the server ends goes on without a new list', async () => {
  const abort = new AbortController();
  const { runWatcher } = await import('../../controllers/machinery/watcher/run.ts');
  const { systemClock } = await import('../../controllers/machinery/clock.ts');
  const events: string[] = [];
  const running = runWatcher(
    {
      client,
      resource: Task,
      namespace,
      labelSelector: 'test=short',
      clock: systemClock,
      serverTimeoutSeconds: 1,
      onEvent: (event) => events.push('object' in event ? `${event.kind} ${event.object.metadata.name}` : event.kind),
    },
    abort.signal,
  );
  await eventually(() => expect(events).toEqual(['init', 'initDone']));
  await new Promise((resolve) => setTimeout(resolve, 2500));
  await make('short', { test: 'short' });
  await eventually(() => expect(events).toEqual(['init', 'initDone', 'apply short']));
  abort.abort();
  await running;
});

test('a version that was never there is 410 or waits, and is never taken for a success', async () => {
  const read = async () => {
    for await (const event of client.watch(Task, {
      namespace,
      resourceVersion: '1',
      timeoutSeconds: 1,
      signal: new AbortController().signal,
    })) {
      if (event.type === 'ERROR') return event.object.code;
    }
    return 'ended';
  };
  const result = await read().catch((error: unknown) => (isExpired(error) ? 410 : error));
  expect([410, 'ended']).toContain(result);
});

test('a status is refused when it is old, also by a new object of the same name', async () => {
  const task = await make('guarded');
  await patchStatus(client, Task, task, { state: 'Running' });
  expect(isConflict(await caught(patchStatus(client, Task, task, { state: 'Unreachable' })))).toBe(true);
  await client.delete(Task, { namespace, name: 'guarded' });
  await make('guarded');
  expect(isConflict(await caught(patchStatus(client, Task, task, { state: 'Failed' })))).toBe(true);
});

test('finalizers are added and removed without touching those of others', async () => {
  const task = await make('finalized');
  const protectedTask = await addFinalizer(client, Task, task, 'tepui.dev/ours');
  await client.mergePatch(
    Task,
    { namespace, name: 'finalized' },
    { metadata: { finalizers: ['example.org/theirs', 'tepui.dev/ours'] } },
  );
  await expect(addFinalizer(client, Task, task, 'tepui.dev/late')).rejects.toThrow();
  await removeFinalizer(client, Task, protectedTask, 'tepui.dev/ours');
  const current = await client.get(Task, { namespace, name: 'finalized' });
  expect(current?.metadata.finalizers).toEqual(['example.org/theirs']);
  await removeFinalizer(client, Task, current!, 'example.org/theirs');
});

test('events are written and counted', async () => {
  const recorder = createEventRecorder({ client, logger: silentLogger, component: 'tepui.dev/test' });
  const about = await make('eventful');
  for (let round = 0; round < 3; round++) {
    recorder.record(about, { type: 'Warning', reason: 'Tested', message: 'Tested.' });
    await recorder.flush();
  }
  const { items } = await client.list(Event, { namespace });
  expect(items.filter(({ regarding }) => regarding?.name === 'eventful')).toMatchObject([
    { note: 'Tested.', reason: 'Tested', series: { count: 3 } },
  ]);
});

test('leader election works, and an object of another kind of list says what it is', async () => {
  const manager = new Manager({
    client,
    logger: silentLogger,
    leaderElection: {
      lease: { namespace, name: 'leader' },
      identity: 'me',
      leaseDurationMs: 2000,
      renewDeadlineMs: 1500,
      retryMs: 200,
    },
  });
  manager
    .controller('nothing')
    .for(Task)
    .with(async () => done);
  const abort = new AbortController();
  const running = manager.run(abort.signal);
  await manager.ready;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  abort.abort();
  await running;
  const { items } = await client.list<ApiObject>(Event as never, { namespace });
  for (const { kind, apiVersion } of items) expect([kind, apiVersion]).toEqual(['Event', 'events.k8s.io/v1']);
});

test('an informer with a selector sees objects come into it and leave it', async () => {
  const informer = createInformer({ client, resource: Task, namespace, labelSelector: 'test=select' });
  const changes: string[] = [];
  informer.onChange(({ key, new: next }) => changes.push(`${next ? '+' : '-'}${key.name}`));
  const abort = new AbortController();
  const running = informer.start(abort.signal);
  await informer.whenSynced();
  await make('selected');
  await client.mergePatch(Task, { namespace, name: 'selected' }, { metadata: { labels: { test: 'select' } } });
  await client.mergePatch(Task, { namespace, name: 'selected' }, { metadata: { labels: { test: null } } });
  await eventually(() => expect(changes).toEqual(['+selected', '-selected']));
  abort.abort();
  await running;
});
