import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CoreEvent, Event, Framework } from '../../../../controllers/machinery/client/resources.ts';
import { createEventRecorder } from '../../../../controllers/machinery/events/recorder.ts';
import { silentLogger } from '../../../../controllers/machinery/logger.ts';
import { createManualClock } from '../manual-clock.ts';
import { failure, sendJson, startScriptedServer } from '../scripted-server.ts';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  await server.stop();
});

const about = (name: string) => ({
  apiVersion: 'tepui.dev/v1alpha1',
  kind: 'Framework',
  metadata: { namespace: 'default', name, uid: `uid-of-${name}` },
});

function newRecorder() {
  const clock = createManualClock(Date.now());
  const recorder = createEventRecorder({
    client: server.client,
    clock,
    logger: silentLogger,
    component: 'tepui.dev/test',
    instance: 'here',
  });
  const read = async (name: string) =>
    (await server.client.list(Event, { namespace: 'default' })).items.filter(
      ({ regarding }) => regarding?.name === name,
    );
  return { clock, recorder, read };
}

describe('an event', () => {
  test('is written with everything that describe shows', async () => {
    const { recorder, read } = newRecorder();
    recorder.record(about('one'), { type: 'Warning', reason: 'DiskFull', message: 'The disk is full.' });
    await recorder.flush();
    expect(await read('one')).toMatchObject([
      {
        type: 'Warning',
        reason: 'DiskFull',
        action: 'DiskFull',
        note: 'The disk is full.',
        regarding: { kind: 'Framework', name: 'one', uid: 'uid-of-one' },
        reportingController: 'tepui.dev/test',
        reportingInstance: 'here',
        eventTime: expect.stringMatching(/\.\d{6}Z$/),
      },
    ]);
    const core = (
      await server.client.list(CoreEvent, { namespace: 'default', fieldSelector: 'involvedObject.name=one' })
    ).items;
    expect(core).toMatchObject([{ message: 'The disk is full.', involvedObject: { kind: 'Framework' } }]);
  });

  test('that repeats becomes one document with a count', async () => {
    const { clock, recorder, read } = newRecorder();
    for (let round = 0; round < 5; round++) {
      recorder.record(about('two'), { reason: 'Tried', message: 'Tried again.' });
      await recorder.flush();
      await clock.advance(60_000);
    }
    expect(await read('two')).toMatchObject([{ note: 'Tried again.', series: { count: 5 } }]);
  });

  test('that comes again much later is a new document', async () => {
    const { clock, recorder, read } = newRecorder();
    recorder.record(about('three'), { reason: 'Tried', message: 'Tried.' });
    await clock.advance(30 * 60_000);
    recorder.record(about('three'), { reason: 'Tried', message: 'Tried.' });
    await recorder.flush();
    expect(await read('three')).toHaveLength(2);
  });

  test('storms of one object are limited, and do not silence others', async () => {
    const { clock, recorder, read } = newRecorder();
    for (let index = 0; index < 200; index++)
      recorder.record(about('four'), { reason: 'Storm', message: `Drop ${index}.` });
    recorder.record(about('five'), { reason: 'Calm', message: 'Quiet.' });
    await recorder.flush();
    expect(await read('four')).toHaveLength(25);
    expect(await read('five')).toHaveLength(1);
    await clock.advance(300_000);
    recorder.record(about('four'), { reason: 'Storm', message: 'After.' });
    await recorder.flush();
    expect(await read('four')).toHaveLength(26);
  });

  test('of a cluster-scoped object is kept in default; a long message is cut', async () => {
    const { recorder, read } = newRecorder();
    recorder.record(
      { kind: 'Agent', metadata: { name: 'node', uid: 'u' } },
      { reason: 'Long', message: 'x'.repeat(5000) },
    );
    await recorder.flush();
    expect((await read('node')).map(({ note }) => note?.length)).toEqual([1024]);
  });

  test('in a namespace that is not there disturbs nobody', async () => {
    const { recorder, read } = newRecorder();
    recorder.record(
      { ...about('lost'), metadata: { namespace: 'nowhere', name: 'lost' } },
      { reason: 'Lost', message: 'Lost.' },
    );
    recorder.record(about('six'), { reason: 'Found', message: 'Found.' });
    await recorder.flush();
    expect(await read('six')).toHaveLength(1);
  });

  test('whose document has expired starts a new one with its count', async () => {
    const { recorder, read } = newRecorder();
    recorder.record(about('seven'), { reason: 'Tried', message: 'Tried.' });
    await recorder.flush();
    const [first] = await read('seven');
    await server.client.delete(Event, { namespace: 'default', name: first!.metadata!.name! });
    recorder.record(about('seven'), { reason: 'Tried', message: 'Tried.' });
    await recorder.flush();
    expect(await read('seven')).toMatchObject([{ series: { count: 2 } }]);
  });
});

describe('a server', () => {
  test('without events.k8s.io gets core events', async () => {
    const { client, requests, stop } = await startScriptedServer((request, response) =>
      request.url.startsWith('/apis/events.k8s.io')
        ? response.writeHead(404).end('404 page not found')
        : sendJson(response, 201, {}),
    );
    const recorder = createEventRecorder({ client, logger: silentLogger, component: 'c' });
    recorder.record(about('a'), { reason: 'A', message: 'A.' });
    recorder.record(about('a'), { reason: 'B', message: 'B.' });
    await recorder.flush();
    expect(requests.map((text) => text.split('?')[0])).toEqual([
      'POST /apis/events.k8s.io/v1/namespaces/default/events',
      'POST /api/v1/namespaces/default/events',
      'POST /api/v1/namespaces/default/events',
    ]);
    await stop();
  });

  test('without any events is asked rarely', async () => {
    const clock = createManualClock();
    const { client, requests, stop } = await startScriptedServer((_request, response) =>
      response.writeHead(404).end('404 page not found'),
    );
    const logged: string[] = [];
    const logger = { ...silentLogger, info: (_fields: unknown, message: string) => logged.push(message) };
    const recorder = createEventRecorder({ client, clock, logger, component: 'c' });
    for (const reason of ['A', 'B', 'C']) recorder.record(about('a'), { reason, message: reason });
    await recorder.flush();
    expect(requests).toHaveLength(2);
    expect(logged).toHaveLength(3);
    await clock.advance(60_000);
    recorder.record(about('a'), { reason: 'D', message: 'D' });
    await recorder.flush();
    expect(requests).toHaveLength(4);
    await stop();
  });

  test('that refuses events does not stop the next ones', async () => {
    const { client, requests, stop } = await startScriptedServer((_request, response) =>
      sendJson(response, 403, failure(403, 'Forbidden')),
    );
    const recorder = createEventRecorder({ client, logger: silentLogger, component: 'c' });
    for (const reason of ['A', 'B']) recorder.record(about('a'), { reason, message: reason });
    await recorder.flush();
    expect(requests).toHaveLength(2);
    await stop();
  });
});

test('a framework of the test server can be told about', async () => {
  const { recorder } = newRecorder();
  const template = { spec: { containers: [{ name: 'main', command: ['true'] }] } };
  const framework = await server.client.create(Framework, {
    metadata: { namespace: 'default', name: 'told' },
    spec: { template },
  });
  recorder.record(framework, { reason: 'Told', message: 'Told.' });
  await recorder.flush();
  const { items } = await server.client.list(Event, { namespace: 'default' });
  expect(items.find(({ reason }) => reason === 'Told')?.regarding).toMatchObject({
    kind: 'Framework',
    uid: framework.metadata.uid,
  });
});
