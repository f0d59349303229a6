import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ObjectKey } from '../../../../controllers/machinery/client/client.ts';
import {
  ConfigMap,
  Framework,
  type Framework as FrameworkDocument,
  Task,
  Volume,
} from '../../../../controllers/machinery/client/resources.ts';
import { silentLogger } from '../../../../controllers/machinery/logger.ts';
import { Manager, type ManagerOptions } from '../../../../controllers/machinery/manager/manager.ts';
import { done } from '../../../../controllers/machinery/outcome.ts';
import { controllerReference } from '../../../../controllers/machinery/owners.ts';
import { eventually } from '../eventually.ts';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  await server.stop();
});

const newManager = (options: Partial<ManagerOptions> = {}) =>
  new Manager({ client: server.client, logger: silentLogger, ...options });
const template = { spec: { containers: [{ name: 'main', command: ['true'] }] } };
const framework = (name: string): FrameworkDocument => ({
  metadata: { namespace: 'default', name },
  spec: { template },
});

/** Runs a manager; returns how to end it. */
function run(manager: Manager) {
  const abort = new AbortController();
  const ended = manager.run(abort.signal);
  ended.catch(() => {});
  return {
    ended,
    async stop() {
      abort.abort();
      await ended;
    },
  };
}

const text = ({ name }: ObjectKey) => name;

describe('a controller in a sentence', () => {
  test('is asked about its own documents, what they own, and what is mapped to them', async () => {
    const manager = newManager();
    const asked: string[] = [];
    const frameworks = manager.informer(Framework).store;
    manager
      .controller('greeter')
      .for(Framework)
      .owns(Task)
      .watches(ConfigMap, ({ metadata }) =>
        metadata?.labels?.concerns ? [{ namespace: metadata.namespace!, name: metadata.labels.concerns }] : [],
      )
      .with(async (request) => {
        asked.push(`${text(request)}${frameworks.get(request) ? '' : ' gone'}`);
        return done;
      });
    await server.client.create(Framework, framework('early'));
    const { stop } = run(manager);
    await manager.ready;
    const expectAsked = async (...names: string[]) => {
      await eventually(() => expect([...asked].sort()).toEqual(names));
      asked.length = 0;
    };
    await expectAsked('early');

    const owner = await server.client.create(Framework, framework('owner'));
    await expectAsked('owner');
    const key = { namespace: 'default', name: 'owned' };
    await server.client.create(Task, {
      metadata: { ...key, ownerReferences: [controllerReference(Framework, owner)] },
      spec: template.spec,
    });
    await expectAsked('owner');
    await server.client.create(ConfigMap, {
      metadata: { namespace: 'default', name: 'mapped', labels: { concerns: 'early' } },
    });
    await expectAsked('early');
    // Both the old and the new target of a mapping hear of the move.
    await server.client.mergePatch(
      ConfigMap,
      { namespace: 'default', name: 'mapped' },
      { metadata: { labels: { concerns: 'owner' } } },
    );
    await expectAsked('early', 'owner');
    await server.client.delete(Framework, { namespace: 'default', name: 'early' });
    await eventually(() => expect(asked).toContain('early gone'));
    await stop();
  });

  test('needs its primary kind', () => {
    expect(() =>
      newManager()
        .controller('x')
        .with(async () => done),
    ).toThrow('say .for(Kind)');
  });
});

describe('a manager', () => {
  test('shares one cache per kind and selection', () => {
    const manager = newManager();
    expect(manager.informer(Task)).toBe(manager.informer(Task));
    expect(manager.informer(Task, { namespace: 'a' })).not.toBe(manager.informer(Task));
  });

  test('reconciles nothing before every cache is complete', async () => {
    const manager = newManager();
    const volumes = manager.informer(Volume);
    let wasSynced: boolean | undefined;
    await server.client.create(Framework, framework('first'));
    manager
      .controller('sync')
      .for(Framework)
      .with(async () => {
        wasSynced ??= volumes.synced;
        return done;
      });
    const { stop } = run(manager);
    await eventually(() => expect(wasSynced).toBe(true));
    await stop();
  });

  test('serves health, readiness and metrics', async () => {
    const manager = newManager({ http: { port: 0 } });
    manager
      .controller('metrics')
      .for(Framework)
      .with(async () => done);
    let isSick = false;
    manager.healthChecks.set('mood', () => {
      if (isSick) throw new Error('not well');
    });
    const { stop } = run(manager);
    await manager.ready;
    const get = async (path: string) => {
      const response = await fetch(`${manager.httpAddress}${path}`);
      return { status: response.status, body: await response.text() };
    };
    expect(await get('/healthz')).toEqual({ status: 200, body: 'ok' });
    expect(await get('/readyz')).toEqual({ status: 200, body: 'ok' });
    expect((await get('/readyz?verbose')).body).toContain('[+]caches ok');
    expect((await get('/readyz/nothing')).status).toBe(404);
    isSick = true;
    expect(await get('/healthz')).toMatchObject({
      status: 500,
      body: expect.stringContaining('[-]mood failed: not well'),
    });
    expect((await get('/healthz?exclude=mood')).status).toBe(200);
    expect((await get('/nothing')).status).toBe(404);
    const { body } = await get('/metrics');
    for (const name of [
      'controller_runtime_reconcile_total',
      'workqueue_depth',
      'rest_client_requests_total',
      'tepui_cache_objects',
    ])
      expect(body).toContain(name);
    await stop();
    await expect(get('/healthz')).rejects.toThrow();
  });

  test('is not ready while a cache cannot be filled', async () => {
    const manager = newManager({ http: { port: 0 } });
    const unknown = { group: 'nowhere.example.org', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
    manager
      .controller('stuck')
      .for(unknown)
      .with(async () => done);
    const { stop } = run(manager);
    await eventually(async () => {
      const response = await fetch(`${manager.httpAddress}/readyz`);
      expect([response.status, await response.text()]).toEqual([500, expect.stringContaining('not synced: things')]);
    });
    expect((await fetch(`${manager.httpAddress}/healthz`)).status).toBe(200);
    await stop();
  });

  test('stops everything in order when one part fails, and says which', async () => {
    const manager = newManager();
    const order: string[] = [];
    manager.add({
      name: 'steady',
      start: (signal) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            order.push('steady stopped');
            resolve();
          }),
        ),
    });
    manager.add({ name: 'fragile', start: () => Promise.reject(new Error('broken')) });
    await expect(run(manager).ended).rejects.toThrow('fragile failed');
    expect(order).toEqual(['steady stopped']);
  });

  test('does not wait for ever for what does not stop', async () => {
    const manager = newManager({ gracePeriodMs: 50 });
    manager.add({ name: 'stubborn', start: () => new Promise(() => {}) });
    const { stop } = run(manager);
    await manager.ready;
    await stop();
  });

  test('that is stopped before it has started says so', async () => {
    const manager = newManager();
    await manager.run(AbortSignal.abort());
    await expect(manager.ready).rejects.toThrow('stopped before it had started');
  });

  test('whose port is taken does not start', async () => {
    const first = newManager({ http: { port: 0 } });
    const { stop } = run(first);
    await first.ready;
    const port = Number(new URL(first.httpAddress!).port);
    await expect(newManager({ http: { port } }).run(new AbortController().signal)).rejects.toThrow('EADDRINUSE');
    await stop();
  });
});

describe('leader election', () => {
  const lease = (name: string) => ({ namespace: 'default', name });
  const quick = { leaseDurationMs: 1000, renewDeadlineMs: 600, retryMs: 100 };

  function candidate(name: string, identity: string) {
    const manager = newManager({ leaderElection: { lease: lease(name), identity, ...quick } });
    let isLeading = false;
    manager.add({
      name: 'work',
      start: (signal) => {
        isLeading = true;
        return new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            isLeading = false;
            resolve();
          }),
        );
      },
    });
    return {
      manager,
      ...run(manager),
      get isLeading() {
        return isLeading;
      },
    };
  }

  test('lets one process work, and hands over at once on a clean exit', async () => {
    const one = candidate('handover', 'one');
    await one.manager.ready;
    const two = candidate('handover', 'two');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect([one.isLeading, two.isLeading]).toEqual([true, false]);
    const start = performance.now();
    await one.stop();
    await eventually(() => expect([one.isLeading, two.isLeading]).toEqual([false, true]));
    expect(performance.now() - start).toBeLessThan(900);
    await two.stop();
  });

  test('the namespace of the lease is made where it is missing', async () => {
    const manager = newManager({
      leaderElection: { lease: { namespace: 'new-namespace', name: 'leader' }, identity: 'one', ...quick },
    });
    const { stop } = run(manager);
    await manager.ready;
    await stop();
  });

  test('a leader that died is followed after the lease has run out', async () => {
    const { client } = server;
    const { Lease } = await import('../../../../controllers/machinery/client/resources.ts');
    // A clock that is far ahead must not matter: only changes of the lease are counted.
    await client.create(Lease, {
      metadata: lease('dead'),
      spec: { holderIdentity: 'dead', leaseDurationSeconds: 1, renewTime: '2099-01-01T00:00:00.000000Z' },
    });
    const start = performance.now();
    const heir = candidate('dead', 'heir');
    await heir.manager.ready;
    expect(performance.now() - start).toBeGreaterThan(1000);
    expect((await client.get(Lease, lease('dead')))?.spec).toMatchObject({
      holderIdentity: 'heir',
      leaseTransitions: 1,
    });
    await heir.stop();
    expect((await client.get(Lease, lease('dead')))?.spec?.holderIdentity).toBe('');
  });

  test('a leader whose lease was taken stops working and ends with an error', async () => {
    const { client } = server;
    const { Lease } = await import('../../../../controllers/machinery/client/resources.ts');
    const loser = candidate('stolen', 'loser');
    await loser.manager.ready;
    await client.mergePatch(Lease, lease('stolen'), { spec: { holderIdentity: 'thief' } });
    await expect(loser.ended).rejects.toThrow('thief holds default/stolen now');
    expect(loser.isLeading).toBe(false);
    expect((await client.get(Lease, lease('stolen')))?.spec?.holderIdentity).toBe('thief');
  });
});
