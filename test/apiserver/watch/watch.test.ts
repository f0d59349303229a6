import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  configMap,
  configMaps,
  crds,
  startTestServer,
  type TestServer,
  widget,
  widgetCrd,
  widgets,
} from '../server-fixture.ts';

let api: TestServer;

beforeAll(async () => {
  api = await startTestServer({ watch: { bookmarkIntervalMs: 100 }, history: { maxEntries: 40 } });
  await api.call('POST', crds, widgetCrd);
});

afterAll(() => api.close());

async function revisionNow(): Promise<string> {
  return (await api.call('GET', `${configMaps}?limit=1`)).body.metadata.resourceVersion;
}

const types = (events: { type: string }[]) => events.map((event) => event.type);

describe('a watch', () => {
  test('sends every change after its revision, in order, with the whole object', async () => {
    const from = await revisionNow();
    await api.call('POST', configMaps, configMap('one', { a: '1' }));
    const watch = api.watch(`${configMaps}?watch=1&resourceVersion=${from}&fieldSelector=metadata.name=one`);
    await watch.until(1);
    await api.call('PUT', `${configMaps}/one`, configMap('one', { a: '2' }));
    await api.call('DELETE', `${configMaps}/one`);
    const events = await watch.until(3);
    expect(types(events)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
    expect(events.map(({ object }) => object.data.a)).toEqual(['1', '2', '2']);
    const revisions = events.map(({ object }) => Number(object.metadata.resourceVersion));
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    watch.stop();
  });

  test('without a revision begins with what is there', async () => {
    await api.call('POST', configMaps, configMap('there', {}, { labels: { set: 'there' } }));
    const watch = api.watch(`${configMaps}?watch=true&labelSelector=set=there`);
    expect((await watch.until(1))[0]).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'there' } } });
    watch.stop();
  });

  test('tells a selecting watcher that an object came or left, with the state it knew and the new revision', async () => {
    const from = await revisionNow();
    const watch = api.watch(`${configMaps}?watch=1&resourceVersion=${from}&labelSelector=color=red`);
    await api.call('POST', configMaps, configMap('paint', {}, { labels: { color: 'blue' } }));
    await api.call('PUT', `${configMaps}/paint`, configMap('paint', {}, { labels: { color: 'red' } }));
    const left = await api.call('PUT', `${configMaps}/paint`, configMap('paint', {}, { labels: { color: 'blue' } }));
    const events = await watch.until(2);
    expect(types(events)).toEqual(['ADDED', 'DELETED']);
    expect(events[1]?.object.metadata).toMatchObject({
      labels: { color: 'red' },
      resourceVersion: left.body.metadata.resourceVersion,
    });
    watch.stop();
  });

  test('selects by a field of a custom resource', async () => {
    const watch = api.watch(`${widgets}?watch=1&fieldSelector=spec.color=green`);
    await api.call('POST', widgets, widget('not', { color: 'red' }));
    await api.call('POST', widgets, widget('yes', { color: 'green' }));
    expect((await watch.until(1))[0]?.object.metadata.name).toBe('yes');
    watch.stop();
  });

  test('gets bookmarks when it asked for them and the rest of the world moved on', async () => {
    const from = await revisionNow();
    const watch = api.watch(`${widgets}?watch=1&allowWatchBookmarks=true&resourceVersion=${from}`);
    const { body } = await api.call('POST', configMaps, configMap('elsewhere'));
    const [event] = await watch.until(1);
    expect(event).toMatchObject({
      type: 'BOOKMARK',
      object: {
        kind: 'Widget',
        apiVersion: 'test.tepui.dev/v1',
        metadata: { resourceVersion: body.metadata.resourceVersion },
      },
    });
    watch.stop();
  });

  test('with sendInitialEvents marks where the initial events end', async () => {
    await api.call('POST', widgets, widget('initial', { color: 'black' }));
    const query =
      'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=spec.color=black';
    const watch = api.watch(`${widgets}?${query}`);
    const events = await watch.until(2);
    expect(types(events)).toEqual(['ADDED', 'BOOKMARK']);
    expect(events[1]?.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' });
    watch.stop();
  });

  test('refuses sendInitialEvents without its match', async () => {
    expect((await api.call('GET', `${widgets}?watch=1&sendInitialEvents=true`)).status).toBe(400);
  });

  test('ends at its time-out', async () => {
    const watch = api.watch(`${widgets}?watch=1&timeoutSeconds=1&resourceVersion=${await revisionNow()}`);
    await watch.ended;
    expect(watch.events).toEqual([]);
  });

  test('from a revision that is compacted gets an Expired event, from a future one too', async () => {
    for (let i = 0; i < 120; i++) await api.call('PUT', `${configMaps}/there`, configMap('there', { i: String(i) }));
    for (const revision of ['2', '999999999']) {
      const watch = api.watch(`${configMaps}?watch=1&resourceVersion=${revision}`);
      await watch.ended;
      expect(watch.events).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }]);
    }
  });

  test('as Table sends one row per event', async () => {
    const from = await revisionNow();
    const watch = api.watch(`${widgets}?watch=1&resourceVersion=${from}`, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
    });
    await api.call('POST', widgets, widget('row', { color: 'grey' }));
    const [event] = await watch.until(1);
    expect(event).toMatchObject({ type: 'ADDED', object: { kind: 'Table', rows: [{ cells: ['row', 'grey'] }] } });
    watch.stop();
  });

  test('of core events also sees those written as events.k8s.io, and the other way round', async () => {
    const core = api.watch('/api/v1/namespaces/default/events?watch=1');
    const modern = api.watch('/apis/events.k8s.io/v1/namespaces/default/events?watch=1');
    const made = await api.call('POST', '/apis/events.k8s.io/v1/namespaces/default/events', {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: 'happened' },
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'test.tepui.dev/me',
      reportingInstance: 'me-1',
      action: 'Tested',
      reason: 'Because',
      type: 'Normal',
      note: 'so it is',
      regarding: { kind: 'ConfigMap', name: 'there', namespace: 'default', apiVersion: 'v1' },
    });
    expect(made.status).toBe(201);
    expect((await core.until(1))[0]?.object).toMatchObject({
      apiVersion: 'v1',
      message: 'so it is',
      involvedObject: { name: 'there' },
    });
    expect((await modern.until(1))[0]?.object).toMatchObject({ apiVersion: 'events.k8s.io/v1', note: 'so it is' });
    core.stop();
    modern.stop();
  });

  test('ends when its CRD is changed or removed, so that clients look again', async () => {
    const crd = { ...widgetCrd, metadata: { name: 'gadgets.test.tepui.dev' } } as typeof widgetCrd;
    crd.spec = {
      ...crd.spec,
      names: { plural: 'gadgets', singular: 'gadget', kind: 'Gadget', listKind: 'GadgetList', shortNames: [] },
    };
    await api.call('POST', crds, crd);
    const watch = api.watch('/apis/test.tepui.dev/v1/gadgets?watch=1');
    await new Promise((resolve) => setTimeout(resolve, 100));
    await api.call('DELETE', `${crds}/gadgets.test.tepui.dev`);
    await watch.ended;
  });

  test('ends cleanly when the server stops', async () => {
    const own = await startTestServer();
    const watch = own.watch(`${configMaps}?watch=1`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await own.close();
    await watch.ended;
    expect(types(watch.events)).not.toContain('ERROR');
  });
});
