/**
 * An HTTP or HTTPS GET: 200 to 399 is success. Certificates are not verified, as in Mesos and Kubernetes: the connection does not leave the
 * machine. Redirects are followed as long as they stay on the loopback address; one that leads elsewhere is itself the answer.
 */
import { type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { failure, type ProbeOutcome, success } from '../result.ts';
import type { CheckTarget } from '../target.ts';
import { withConnection } from './connect.ts';

export interface HttpProbe {
  scheme: 'HTTP' | 'HTTPS';
  path: string;
  port: number;
}

const MAX_REDIRECTS = 10;
/** Read of the body; the rest is not waited for. */
const MAX_BODY = 1024;
const loopbackNames = new Set(['127.0.0.1', 'localhost', '[::1]']);

export async function probeHttp(probe: HttpProbe, target: CheckTarget, signal: AbortSignal): Promise<ProbeOutcome> {
  let url = new URL(`${probe.scheme.toLowerCase()}://127.0.0.1:${probe.port}`);
  // Not through the constructor, which takes "//host/..." for another host.
  [url.pathname = '', url.search = ''] = splitPath(probe.path);
  for (let redirects = 0; ; redirects++) {
    const answer = await ask(url, target, signal);
    const next = answer.location === undefined ? undefined : followed(url, answer.location);
    if (next === undefined) return answer.outcome;
    if (redirects === MAX_REDIRECTS) return { ...answer.outcome, ...failure(`more than ${MAX_REDIRECTS} redirects`) };
    url = next;
  }
}

interface Answer {
  outcome: ProbeOutcome;
  location?: string;
}

async function ask(url: URL, target: CheckTarget, signal: AbortSignal): Promise<Answer> {
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  let location: string | undefined;
  const outcome = await withConnection(target, port, signal, async (connection) => {
    try {
      const stream = url.protocol === 'https:' ? await secured(connection) : connection;
      const message = await get(url, stream);
      if (isRedirect(message.statusCode ?? 0)) location = message.headers.location;
      return await outcomeOf(message);
    } catch (error) {
      return failure(`no HTTP answer from port ${port}: ${(error as Error).message}`);
    }
  });
  return { outcome, ...(location !== undefined && { location }) };
}

function secured(connection: Duplex): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const stream = connectTls({ socket: connection, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }, () =>
      resolve(stream),
    );
    stream.on('error', reject);
    connection.once('close', () => reject(new Error('the connection was closed')));
  });
}

function get(url: URL, stream: Duplex): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const message = request({
      createConnection: () => stream,
      method: 'GET',
      path: url.pathname + url.search,
      headers: { host: url.host, 'user-agent': 'tepui-check', accept: '*/*', connection: 'close' },
    });
    message.on('error', reject).once('response', resolve);
    message.once('upgrade', (response) => resolve(response));
    message.end();
  });
}

async function outcomeOf(message: IncomingMessage): Promise<ProbeOutcome> {
  const statusCode = message.statusCode ?? 0;
  const response = { contentType: message.headers['content-type'] ?? '', body: await beginningOf(message) };
  const describe = statusCode >= 200 && statusCode < 400 ? success : failure;
  return describe(`HTTP status ${statusCode} ${message.statusMessage ?? ''}`.trimEnd(), { statusCode, response });
}

/** The status is the answer: a body that breaks off, or never ends, changes nothing. */
async function beginningOf(message: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of message) {
      parts.push(part as Buffer);
      length += (part as Buffer).length;
      if (length >= MAX_BODY) break;
    }
  } catch {
    // What came until then.
  }
  return Buffer.concat(parts).subarray(0, MAX_BODY).toString('utf8');
}

const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status);

/** Undefined when it leads somewhere that a check does not go. */
function followed(from: URL, location: string): URL | undefined {
  const to = URL.parse(location, from);
  if (!to || !['http:', 'https:'].includes(to.protocol)) return undefined;
  return loopbackNames.has(to.hostname) ? to : undefined;
}

function splitPath(path: string): [string, string] {
  const at = path.indexOf('?');
  return at < 0 ? [path, ''] : [path.slice(0, at), path.slice(at)];
}
