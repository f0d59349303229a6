import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { parse } from 'yaml';
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../apiserver/server.ts';

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape are looked into by tests.
export type Json = any;

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  body: Json;
}

export interface TestServer {
  server: ApiServer;
  dataDir: string;
  token: string;
  ca: string;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Watch events as they come; ends with the response. `stop` hangs up. */
  watch(path: string, headers?: Record<string, string>): WatchReader;
  /** Stops the server, starts it again on the same data. */
  restart(options?: Partial<ApiServerOptions>): Promise<TestServer>;
  close(): Promise<void>;
}

export interface WatchReader {
  events: { type: string; object: Json }[];
  /** Resolves when so many events are there. */
  until(count: number): Promise<{ type: string; object: Json }[]>;
  ended: Promise<void>;
  stop(): void;
}

/** A real server on a free port and a directory of its own; `close` leaves nothing behind. */
export async function startTestServer(options: Partial<ApiServerOptions> = {}): Promise<TestServer> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'tepui-apiserver-'));
  const server = await startApiServer({
    logger: pino({ level: 'silent' }),
    shutdownGraceMs: 2000,
    ...options,
    dataDir,
  });
  const config = parse(readFileSync(server.kubeconfigPath, 'utf8'));
  const token: string = config.users[0].user.token;
  const ca = Buffer.from(config.clusters[0].cluster['certificate-authority-data'], 'base64').toString();
  const open = (method: string, path: string, headers: Record<string, string>) =>
    request(new URL(path, server.url), {
      method,
      ca,
      headers: { authorization: `Bearer ${token}`, ...headers },
      agent: false,
    });

  return {
    server,
    dataDir,
    token,
    ca,
    call: (method, path, body, headers = {}) =>
      new Promise((resolve, reject) => {
        const raw = typeof body === 'string' || Buffer.isBuffer(body);
        const type: Record<string, string> = body === undefined || raw ? {} : { 'content-type': 'application/json' };
        const payload = raw ? (body as string | Buffer) : body === undefined ? undefined : JSON.stringify(body);
        // Node leaves the length out for DELETE, and the body would not be read.
        const length: Record<string, string> =
          payload === undefined || headers['transfer-encoding']
            ? {}
            : { 'content-length': String(Buffer.byteLength(payload)) };
        const sent = open(method, path, { ...type, ...length, ...headers });
        sent.on('error', reject);
        sent.on('response', async (response) => {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk as Buffer);
          const text = Buffer.concat(chunks).toString();
          const isJson = response.headers['content-type']?.includes('json') && !response.headers['content-encoding'];
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            body: isJson && text ? JSON.parse(text) : undefined,
          });
        });
        sent.end(payload);
      }),
    watch: (path, headers = {}) => readWatch(open('GET', path, headers)),
    restart: async (more = {}) => {
      await server.close();
      return startTestServer({ ...options, ...more, dataDir });
    },
    close: async () => {
      await server.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function readWatch(sent: ReturnType<typeof request>): WatchReader {
  const events: WatchReader['events'] = [];
  let wake: () => void = () => {};
  let rest = '';
  const ended = new Promise<void>((resolve) => {
    sent.on('error', () => resolve());
    sent.on('response', (response) => {
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) events.push(JSON.parse(line));
        wake();
      });
      response.on('error', () => resolve());
      response.on('close', () => {
        resolve();
        wake();
      });
    });
  });
  sent.end();
  let isEnded = false;
  void ended.then(() => {
    isEnded = true;
  });
  return {
    events,
    ended,
    async until(count) {
      while (events.length < count && !isEnded) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return events.slice(0, count);
    },
    stop: () => sent.destroy(),
  };
}

export function configMap(name: string, data: Record<string, string> = {}, metadata: object = {}): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
}

export const configMaps = '/api/v1/namespaces/default/configmaps';

/** A kind with status and scale, like ours. */
export const widgetCrd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.test.tepui.dev' },
  spec: {
    group: 'test.tepui.dev',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList', shortNames: ['wd'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: {
            specReplicasPath: '.spec.replicas',
            statusReplicasPath: '.status.replicas',
            labelSelectorPath: '.status.selector',
          },
        },
        selectableFields: [{ jsonPath: '.spec.color' }],
        additionalPrinterColumns: [{ name: 'Color', type: 'string', jsonPath: '.spec.color' }],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: { replicas: { type: 'integer', default: 1 }, color: { type: 'string' } },
              },
              status: {
                type: 'object',
                properties: {
                  replicas: { type: 'integer' },
                  selector: { type: 'string' },
                  note: { type: 'string' },
                },
              },
            },
          },
        },
      },
    ],
  },
};

export const widgets = '/apis/test.tepui.dev/v1/namespaces/default/widgets';

export function widget(name: string, spec: object = {}, metadata: object = {}): object {
  return { apiVersion: 'test.tepui.dev/v1', kind: 'Widget', metadata: { name, ...metadata }, spec };
}

export const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
