import { afterEach, describe, expect, test } from '@jest/globals';
import type { ApiClientOptions } from '../../../../controllers/machinery/client/api-client.ts';
import {
  ApiStatusError,
  ApiUnreachableError,
  isConflict,
  isExpired,
} from '../../../../controllers/machinery/client/errors.ts';
import { ConfigMap, Namespace } from '../../../../controllers/machinery/client/resources.ts';
import { failure, type ScriptedServer, sendJson, startScriptedServer } from '../scripted-server.ts';

let server: ScriptedServer | undefined;
const start = async (answer: Parameters<typeof startScriptedServer>[0], options?: ApiClientOptions) => {
  server = await startScriptedServer(answer, options);
  return server;
};

afterEach(async () => {
  await server?.stop();
  server = undefined;
});

describe('a request', () => {
  test('is repeated when the server is busy, also if it writes', async () => {
    const { client, requests } = await start((_request, response, count) =>
      count === 1
        ? sendJson(response, 429, failure(429, 'TooManyRequests'), { 'retry-after': '0' })
        : sendJson(response, 201, { metadata: { name: 'a' } }),
    );
    await expect(client.create(Namespace, { metadata: { name: 'a' } })).resolves.toMatchObject({
      metadata: { name: 'a' },
    });
    expect(requests).toEqual([
      'POST /api/v1/namespaces?fieldManager=tepui',
      'POST /api/v1/namespaces?fieldManager=tepui',
    ]);
  });

  test('is given up when the server stays busy', async () => {
    const { client, requests } = await start((_request, response) =>
      sendJson(response, 429, failure(429, 'TooManyRequests'), { 'retry-after': '0' }),
    );
    await expect(client.list(Namespace)).rejects.toMatchObject({ code: 429 });
    expect(requests).toHaveLength(5);
  });

  test('is not repeated after a server error, which may have been a success', async () => {
    const { client, requests } = await start((_request, response) =>
      sendJson(response, 500, failure(500, 'InternalError')),
    );
    await expect(client.create(Namespace, { metadata: { name: 'a' } })).rejects.toMatchObject({ code: 500 });
    expect(requests).toHaveLength(1);
  });

  test('that reads is repeated once when the kept-alive socket was closed under it', async () => {
    const { client, requests } = await start((request, response, count) => {
      if (count === 2) request.socket.destroy();
      else sendJson(response, 200, { metadata: { resourceVersion: '1' }, items: [] });
    });
    await client.list(Namespace);
    await client.list(Namespace);
    expect(requests).toHaveLength(3);
  });

  test('that writes is not repeated when its socket breaks', async () => {
    const { client, requests } = await start((request) => request.socket.destroy());
    await expect(client.create(Namespace, { metadata: { name: 'a' } })).rejects.toBeInstanceOf(ApiUnreachableError);
    expect(requests).toHaveLength(1);
  });

  test('ends after its time limit when the server says nothing', async () => {
    const { client } = await start(() => {}, { requestTimeoutMs: 150 });
    await expect(client.list(Namespace)).rejects.toMatchObject({ name: 'ApiUnreachableError', timedOut: true });
  });

  test('ends after its time limit when the server stops in the middle of the answer', async () => {
    const { client } = await start(
      (_request, response) => void response.writeHead(200, { 'content-length': '100' }).write('{'),
      { requestTimeoutMs: 150 },
    );
    await expect(client.list(Namespace)).rejects.toMatchObject({ timedOut: true });
  });

  test('to a server that is not there says so', async () => {
    const { client, stop } = await start(() => {});
    await stop();
    server = undefined;
    await expect(client.list(Namespace)).rejects.toBeInstanceOf(ApiUnreachableError);
  });

  test('does not wait behind long watches', async () => {
    const { client } = await start((request, response) => {
      if (request.url.includes('watch=true'))
        response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
      else sendJson(response, 200, { metadata: { resourceVersion: '1' }, items: [] });
    });
    const abort = new AbortController();
    const watches = Array.from({ length: 20 }, async () => {
      for await (const _event of client.watch(ConfigMap, { signal: abort.signal }));
    });
    await client.list(Namespace);
    abort.abort();
    await Promise.all(watches);
  });
});

describe('an error', () => {
  test('names the request and carries the status', async () => {
    const { client } = await start((_request, response) =>
      sendJson(response, 409, failure(409, 'Conflict', 'it was changed')),
    );
    const error = await client
      .update(ConfigMap, { metadata: { namespace: 'n', name: 'a' } })
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiStatusError);
    expect((error as Error).message).toBe('PUT /api/v1/namespaces/n/configmaps/a: it was changed');
    expect(isConflict(error)).toBe(true);
  });

  test('that is no Status document is shown as it came', async () => {
    const { client } = await start((_request, response) => response.writeHead(502).end('<html>bad gateway'));
    await expect(client.list(Namespace)).rejects.toThrow('the server answered 502: <html>bad gateway');
  });

  test('404 of a known kind reads as absent, of an unknown one as an error', async () => {
    const { client } = await start((request, response) =>
      request.url.includes('configmaps')
        ? sendJson(response, 404, failure(404, 'NotFound'))
        : response.writeHead(404).end('404 page not found'),
    );
    await expect(client.get(ConfigMap, { namespace: 'n', name: 'a' })).resolves.toBeUndefined();
    await expect(client.get(Namespace, { name: 'a' })).rejects.toMatchObject({ code: 404 });
  });

  test('an object without a name is never addressed', async () => {
    const { client, requests } = await start((_request, response) => sendJson(response, 200, {}));
    await expect(client.delete(ConfigMap, { namespace: 'n', name: '' })).rejects.toThrow('must be named');
    await expect(client.delete(ConfigMap, { name: 'a' })).rejects.toThrow('a namespace is needed');
    expect(requests).toEqual([]);
  });
});

describe('a watch', () => {
  const events = (...lines: unknown[]) => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

  test('gives events as they come, however they are cut', async () => {
    const bytes = Buffer.from(
      events(
        { type: 'ADDED', object: { metadata: { name: 'ä-€-😀' } } },
        { type: 'DELETED', object: { metadata: { name: 'b' } } },
      ),
    );
    const { client } = await start(async (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      for (const byte of bytes) {
        response.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    });
    const seen: unknown[] = [];
    for await (const event of client.watch(ConfigMap, {
      namespace: 'n',
      resourceVersion: '7',
      signal: new AbortController().signal,
    }))
      seen.push(event);
    expect(seen).toEqual([
      { type: 'ADDED', object: { metadata: { name: 'ä-€-😀' } } },
      { type: 'DELETED', object: { metadata: { name: 'b' } } },
    ]);
  });

  test('that is refused is an error with its code', async () => {
    const { client } = await start((_request, response) => sendJson(response, 410, failure(410, 'Expired', 'too old')));
    const read = async () => {
      for await (const _event of client.watch(ConfigMap, { signal: new AbortController().signal }));
    };
    const error = await read().catch((caught: unknown) => caught);
    expect(isExpired(error)).toBe(true);
  });

  test('holds the server back while its reader is slow, and loses nothing', async () => {
    const total = 20_000;
    const line = (index: number) =>
      events({ type: 'ADDED', object: { metadata: { name: `${index}` }, data: 'x'.repeat(200) } });
    const { client } = await start((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      for (let index = 0; index < total; index++) response.write(line(index));
      response.end();
    });
    let next = 0;
    for await (const event of client.watch(ConfigMap, { signal: new AbortController().signal })) {
      expect(event.type === 'ADDED' && event.object.metadata?.name).toBe(`${next++}`);
      if (next % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(next).toBe(total);
  });

  test('ends without an error and closes its socket when its caller does not want it any more', async () => {
    let closed: Promise<void> | undefined;
    const { client } = await start((request, response) => {
      closed = new Promise((resolve) => request.socket.once('close', () => resolve()));
      response.writeHead(200, { 'content-type': 'application/json' }).write(events({ type: 'ADDED', object: {} }));
    });
    const abort = new AbortController();
    for await (const _event of client.watch(ConfigMap, { signal: abort.signal })) abort.abort();
    await closed;
  });

  test('that breaks is an error', async () => {
    const { client } = await start((request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write(events({ type: 'ADDED', object: {} }));
      setTimeout(() => request.socket.destroy(), 20);
    });
    const read = async () => {
      for await (const _event of client.watch(ConfigMap, { signal: new AbortController().signal }));
    };
    await expect(read()).rejects.toBeInstanceOf(ApiUnreachableError);
  });

  test('that sends what is not JSON is an error', async () => {
    const { client } = await start((_request, response) => void response.writeHead(200).write('<html>\n'));
    const read = async () => {
      for await (const _event of client.watch(ConfigMap, { signal: new AbortController().signal }));
    };
    await expect(read()).rejects.toThrow('not JSON');
  });
});
