import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { ApiObject } from '../../../../controllers/machinery/client/client.ts';
import { ConfigMap } from '../../../../controllers/machinery/client/resources.ts';
import { systemClock } from '../../../../controllers/machinery/clock.ts';
import { runWatcher, type WatcherOptions } from '../../../../controllers/machinery/watcher/run.ts';
import { eventually } from '../eventually.ts';
import { failure, type ScriptedServer, sendJson, startScriptedServer } from '../scripted-server.ts';

let server: ScriptedServer | undefined;
let abort: AbortController;
let running: Promise<void> | undefined;

afterEach(async () => {
  abort?.abort();
  await running;
  await server?.stop();
});

const object = (name: string, resourceVersion: string) => ({ metadata: { namespace: 'n', name, resourceVersion } });
const list = (
  response: ServerResponse,
  resourceVersion: string,
  items: unknown[] = [],
  more: Record<string, string> = {},
) => sendJson(response, 200, { metadata: { resourceVersion, ...more }, items });
const open = (response: ServerResponse, ...events: unknown[]) => {
  response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
  for (const event of events) response.write(`${JSON.stringify(event)}\n`);
};

/** Runs a watcher against a scripted server; lists and watches are told apart and counted. */
async function watchScript(
  script: {
    list: (response: ServerResponse, count: number, url: URL) => void;
    watch: (response: ServerResponse, count: number, url: URL) => void;
  },
  options: Partial<WatcherOptions<ApiObject>> = {},
) {
  const counts = { list: 0, watch: 0 };
  server = await startScriptedServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    if (url.searchParams.get('watch') === 'true') script.watch(response, ++counts.watch, url);
    else script.list(response, ++counts.list, url);
  });
  const events: string[] = [];
  abort = new AbortController();
  running = runWatcher(
    {
      client: server.client,
      resource: ConfigMap,
      clock: systemClock,
      random: () => 0,
      onEvent: (event) => events.push('object' in event ? `${event.kind} ${event.object.metadata?.name}` : event.kind),
      ...options,
    } as WatcherOptions<ApiObject>,
    abort.signal,
  );
  return { events, counts, requests: server.requests };
}

describe('a watcher', () => {
  test('lists in pages and watches from where the list ended', async () => {
    const { events, requests } = await watchScript({
      list: (response, count) =>
        count === 1
          ? list(response, '5', [object('a', '1')], { continue: 'next' })
          : list(response, '5', [object('b', '2')]),
      watch: (response) => open(response, { type: 'ADDED', object: object('c', '6') }),
    });
    await eventually(() => expect(events).toEqual(['init', 'initApply a', 'initApply b', 'initDone', 'apply c']));
    expect(requests[0]).toContain('limit=500');
    expect(requests[1]).toContain('continue=next');
    expect(requests[2]).toContain('resourceVersion=5');
    expect(requests[2]).toContain('allowWatchBookmarks=true');
    expect(requests[2]).toContain('timeoutSeconds=290');
  });

  test('lists anew without pages when its continue token expired', async () => {
    const { events, requests } = await watchScript({
      list: (response, count) => {
        if (count === 1) list(response, '5', [object('a', '1')], { continue: 'next' });
        else if (count === 2) sendJson(response, 410, failure(410, 'Expired'));
        else list(response, '9', [object('b', '8')]);
      },
      watch: (response) => open(response),
    });
    await eventually(() => expect(events).toEqual(['init', 'initApply a', 'init', 'initApply b', 'initDone']));
    expect(requests[2]).not.toContain('limit');
    expect(requests[2]).not.toContain('continue');
  });

  test('goes on from the last bookmark when the server ends the watch', async () => {
    const { requests } = await watchScript({
      list: (response) => list(response, '5'),
      watch: (response, count) => {
        open(response, { type: 'BOOKMARK', object: { metadata: { resourceVersion: '77' } } });
        if (count === 1) response.end();
      },
    });
    await eventually(() => expect(requests.filter((url) => url.includes('watch=true'))).toHaveLength(2));
    expect(requests.at(-1)).toContain('resourceVersion=77');
  });

  test('lists anew when 410 comes as an event', async () => {
    const { events, counts } = await watchScript({
      list: (response, count) => list(response, String(count), [object(`list-${count}`, String(count))]),
      watch: (response, count) =>
        count === 1 ? open(response, { type: 'ERROR', object: failure(410, 'Expired') }) : open(response),
    });
    await eventually(() => expect(counts.watch).toBe(2));
    expect(events).toEqual(['init', 'initApply list-1', 'initDone', 'init', 'initApply list-2', 'initDone']);
  });

  test('lists anew when 410 comes as the HTTP status', async () => {
    const { counts } = await watchScript({
      list: (response) => list(response, '5'),
      watch: (response, count) => (count === 1 ? sendJson(response, 410, failure(410, 'Gone')) : open(response)),
    });
    await eventually(() => expect(counts).toEqual({ list: 2, watch: 2 }));
  });

  test('watches on without a new list after any other error event', async () => {
    const { counts } = await watchScript({
      list: (response) => list(response, '5'),
      watch: (response, count) =>
        count === 1 ? open(response, { type: 'ERROR', object: failure(500, 'InternalError') }) : open(response),
    });
    await eventually(() => expect(counts).toEqual({ list: 1, watch: 2 }));
  });

  test('gives up a half-open socket by the clock, and loses nothing', async () => {
    const { events, counts } = await watchScript(
      {
        list: (response) => list(response, '5'),
        // The first watch is silent for ever, as if the network had swallowed everything.
        watch: (response, count) =>
          count === 1 ? open(response) : open(response, { type: 'ADDED', object: object('late', '6') }),
      },
      { serverTimeoutSeconds: 1, idleMarginMs: 50 },
    );
    await eventually(() => expect(events).toContain('apply late'), 4000);
    expect(counts).toEqual({ list: 1, watch: 2 });
  });

  test('does not storm a server that ends every watch at once', async () => {
    const { counts } = await watchScript(
      {
        list: (response) => list(response, '5'),
        watch: (response) => {
          open(response);
          response.end();
        },
      },
      { random: () => 0.5 },
    );
    await new Promise((resolve) => setTimeout(resolve, 1500));
    // 0, 200, 400, 800 ms apart.
    expect(counts.watch).toBeLessThanOrEqual(5);
    expect(counts.list).toBe(1);
  });

  test('does not storm a server that refuses every list', async () => {
    const { counts } = await watchScript(
      { list: (response) => sendJson(response, 403, failure(403, 'Forbidden')), watch: (response) => open(response) },
      { random: () => 0.5 },
    );
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(counts.list).toBeLessThanOrEqual(5);
    expect(counts.watch).toBe(0);
  });

  test('ends at once when it is told to, wherever it is', async () => {
    await watchScript({ list: (response) => sendJson(response, 500, failure(500, 'InternalError')), watch: () => {} });
    const start = performance.now();
    abort.abort();
    await running;
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
