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
  api = await startTestServer();
  await api.call('POST', crds, widgetCrd);
});

afterAll(() => api.close());

const merge = { 'content-type': 'application/merge-patch+json' };

describe('create', () => {
  test('fills in what only the server knows', async () => {
    const given = widget('filled', {}, { uid: 'mine', generation: 7, creationTimestamp: '2000-01-01T00:00:00Z' }) as {
      status?: unknown;
    };
    given.status = { note: 'ignored' };
    const { status, body } = await api.call('POST', widgets, given);
    expect(status).toBe(201);
    expect(body.metadata).toMatchObject({ name: 'filled', namespace: 'default', generation: 1 });
    expect(body.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(Date.now() - Date.parse(body.metadata.creationTimestamp)).toBeLessThan(60_000);
    expect(body.spec.replicas).toBe(1);
    expect(body.status).toBeUndefined();
  });

  test('makes a name from generateName', async () => {
    const { body } = await api.call('POST', widgets, widget('', {}, { generateName: 'gen-' }));
    expect(body.metadata.name).toMatch(/^gen-[a-z0-9]{5}$/);
  });

  test('refuses what is there, with 409 AlreadyExists', async () => {
    await api.call('POST', configMaps, configMap('twice'));
    const { status, body } = await api.call('POST', configMaps, configMap('twice'));
    expect(status).toBe(409);
    expect(body).toMatchObject({ reason: 'AlreadyExists', message: 'configmaps "twice" already exists' });
  });

  test('lets exactly one of many win', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => api.call('POST', configMaps, configMap('race'))),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  });

  test('refuses bad metadata, naming each field', async () => {
    const { status, body } = await api.call(
      'POST',
      widgets,
      widget(
        'Bad_Name',
        {},
        { labels: { 'a b': 'x', good: 'not good!' }, finalizers: ['no good'], ownerReferences: [{ kind: 'X' }] },
      ),
    );
    expect(status).toBe(422);
    expect(body.reason).toBe('Invalid');
    const fields = body.details.causes.map((cause: { field: string }) => cause.field);
    expect(new Set(fields)).toEqual(
      new Set([
        'metadata.name',
        'metadata.labels',
        'metadata.finalizers',
        'metadata.ownerReferences[0].apiVersion',
        'metadata.ownerReferences[0].name',
        'metadata.ownerReferences[0].uid',
      ]),
    );
  });

  test('refuses another kind, version, namespace or a resourceVersion', async () => {
    const wrong = [
      { ...configMap('w'), kind: 'Secret' },
      { ...configMap('w'), apiVersion: 'v2' },
      configMap('w', {}, { namespace: 'other' }),
      configMap('w', {}, { resourceVersion: '5' }),
    ];
    for (const body of wrong) expect((await api.call('POST', configMaps, body)).status).toBe(400);
  });

  test('treats an unknown metadata field as asked', async () => {
    const body = configMap('unknown', {}, { colour: 'red' });
    const strict = await api.call('POST', `${configMaps}?fieldValidation=Strict&dryRun=All`, body);
    expect(strict.status).toBe(400);
    expect(strict.body.message).toContain('unknown field "metadata.colour"');
    const warned = await api.call('POST', `${configMaps}?fieldValidation=Warn`, body);
    expect(warned.status).toBe(201);
    expect(warned.headers.warning).toBe('299 - "unknown field \\"metadata.colour\\""');
    expect(warned.body.metadata.colour).toBeUndefined();
  });

  test('as dry run stores nothing', async () => {
    const { status, body } = await api.call('POST', `${configMaps}?dryRun=All`, configMap('dry'));
    expect([status, body.metadata.name]).toEqual([201, 'dry']);
    expect((await api.call('GET', `${configMaps}/dry`)).status).toBe(404);
    expect((await api.call('POST', `${configMaps}?dryRun=Some`, configMap('dry'))).status).toBe(400);
  });
});

describe('update', () => {
  test('needs the version that is stored', async () => {
    const { body: made } = await api.call('POST', widgets, widget('versioned'));
    const changed = await api.call('PUT', `${widgets}/versioned`, { ...made, spec: { replicas: 2 } });
    expect(changed.status).toBe(200);
    const stale = await api.call('PUT', `${widgets}/versioned`, { ...made, spec: { replicas: 3 } });
    expect(stale.body).toMatchObject({ code: 409, reason: 'Conflict' });
    expect(stale.body.message).toBe(
      'Operation cannot be fulfilled on widgets.test.tepui.dev "versioned": the object has been modified; please apply your changes to the latest version and try again',
    );
    const none = await api.call('PUT', `${widgets}/versioned`, widget('versioned'));
    expect(none.body.message).toContain(
      'metadata.resourceVersion: Invalid value: 0x0: must be specified for an update',
    );
  });

  test('of a built-in kind may go without a version', async () => {
    await api.call('POST', configMaps, configMap('loose'));
    expect((await api.call('PUT', `${configMaps}/loose`, configMap('loose', { a: '1' }))).status).toBe(200);
  });

  test('bumps the generation for the spec only', async () => {
    const { body: made } = await api.call('POST', widgets, widget('generations'));
    const labelled = await api.call('PATCH', `${widgets}/generations`, { metadata: { labels: { a: 'b' } } }, merge);
    expect(labelled.body.metadata.generation).toBe(1);
    const changed = await api.call('PATCH', `${widgets}/generations`, { spec: { replicas: 5 } }, merge);
    expect(changed.body.metadata.generation).toBe(2);
    const status = await api.call('PATCH', `${widgets}/generations/status`, { status: { replicas: 5 } }, merge);
    expect(status.body.metadata).toMatchObject({ generation: 2, uid: made.metadata.uid });
  });

  test('that changes nothing is not written', async () => {
    const { body: made } = await api.call('POST', widgets, widget('same', { color: 'red' }));
    const put = await api.call('PUT', `${widgets}/same`, made);
    const patched = await api.call('PATCH', `${widgets}/same`, { spec: { color: 'red' } }, merge);
    expect([put, patched].map(({ body }) => body.metadata.resourceVersion)).toEqual(
      [made, made].map(({ metadata }) => metadata.resourceVersion),
    );
  });

  test('cannot touch what is immutable', async () => {
    const { body: made } = await api.call('POST', widgets, widget('immutable'));
    const other = { ...made, metadata: { ...made.metadata, uid: 'other' } };
    expect((await api.call('PUT', `${widgets}/immutable`, other)).status).toBe(409);
    const time = { ...made, metadata: { ...made.metadata, creationTimestamp: '2000-01-01T00:00:00Z' } };
    expect((await api.call('PUT', `${widgets}/immutable`, time)).body.message).toContain('field is immutable');
    const renamed = { ...made, metadata: { ...made.metadata, name: 'x' } };
    expect((await api.call('PUT', `${widgets}/immutable`, renamed)).status).toBe(400);
  });

  test('keeps spec and status apart', async () => {
    const { body: made } = await api.call('POST', widgets, widget('apart', { color: 'red' }));
    const status = await api.call('PUT', `${widgets}/apart/status`, {
      ...made,
      spec: { color: 'blue' },
      status: { note: 'set' },
    });
    expect(status.body).toMatchObject({ spec: { color: 'red' }, status: { note: 'set' } });
    const main = await api.call('PUT', `${widgets}/apart`, {
      ...status.body,
      spec: { color: 'green' },
      status: { note: 'no' },
    });
    expect(main.body).toMatchObject({ spec: { color: 'green' }, status: { note: 'set' } });
  });

  test('of a missing object is 404', async () => {
    expect((await api.call('PUT', `${widgets}/nobody`, widget('nobody'))).body.message).toBe(
      'widgets.test.tepui.dev "nobody" not found',
    );
  });
});

describe('patch', () => {
  test('takes JSON patch with test, and refuses strategic merge for custom resources', async () => {
    await api.call('POST', widgets, widget('patched', { color: 'red' }));
    const json = { 'content-type': 'application/json-patch+json' };
    const failed = await api.call(
      'PATCH',
      `${widgets}/patched`,
      [{ op: 'test', path: '/spec/color', value: 'blue' }],
      json,
    );
    expect(failed.status).toBe(422);
    const done = await api.call(
      'PATCH',
      `${widgets}/patched`,
      [{ op: 'replace', path: '/spec/color', value: 'blue' }],
      json,
    );
    expect(done.body.spec.color).toBe('blue');
    const strategic = { 'content-type': 'application/strategic-merge-patch+json' };
    expect((await api.call('PATCH', `${widgets}/patched`, {}, strategic)).status).toBe(415);
  });

  test('with a resourceVersion is refused when that is stale', async () => {
    const { body: made } = await api.call('POST', widgets, widget('guarded'));
    const { resourceVersion } = made.metadata;
    const patch = { metadata: { resourceVersion }, spec: { replicas: 2 } };
    expect((await api.call('PATCH', `${widgets}/guarded`, patch, merge)).status).toBe(200);
    expect((await api.call('PATCH', `${widgets}/guarded`, { ...patch, spec: { replicas: 3 } }, merge)).status).toBe(
      409,
    );
  });

  test('without one never conflicts, however many patch at once', async () => {
    await api.call('POST', configMaps, configMap('busy'));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        api.call('PATCH', `${configMaps}/busy`, { data: { [`k${i}`]: 'v' } }, merge),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(new Array(20).fill(200));
    expect(Object.keys((await api.call('GET', `${configMaps}/busy`)).body.data)).toHaveLength(20);
  });
});
