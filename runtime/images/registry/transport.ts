/** HTTP to registries: TLS with the operator's authorities, proxies of the environment, redirects that take no credentials along. */
import { getCACertificates } from 'node:tls';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { SourceFailed } from '../image-source.ts';
import { describeFailure } from './describe-failure.ts';
import { findRegistry, type RegistriesSettings } from './settings.ts';

export interface RegistryRequest {
  method: 'GET' | 'HEAD' | 'POST';
  url: URL;
  headers: Record<string, string>;
  /** Sent to the origin of `url` alone. */
  authorization?: string | undefined;
  body?: string;
  signal: AbortSignal;
  /** PEM of an authority that is trusted for the origin of `url`. */
  ca?: string | undefined;
}

export interface RegistryResponse {
  status: number;
  headers: Dispatcher.ResponseData['headers'];
  body: Dispatcher.ResponseData['body'];
  /** Of the last hop, for messages. */
  host: string;
}

export interface Transport {
  /** Follows redirects. Rejects with SourceFailed, or the signal's reason. The body must be consumed or destroyed. */
  send(request: RegistryRequest, settings: RegistriesSettings): Promise<RegistryResponse>;
  close(): Promise<void>;
}

const MOST_REDIRECTS = 8;
/** As Mesos's fetcher: a transfer that stands still for a minute has failed. */
const DEFAULT_STALL_MS = 60_000;
const CONNECT_TIMEOUT_MS = 15_000;

/** `stallMs` bounds the wait for headers and for each piece of a body. */
export function createTransport({ stallMs = DEFAULT_STALL_MS }: { stallMs?: number } = {}): Transport {
  const dispatchers = new Map<string, EnvHttpProxyAgent>();
  const dispatcherFor = (ca = ''): EnvHttpProxyAgent => {
    const known = dispatchers.get(ca);
    if (known !== undefined) return known;
    const created = createDispatcher(ca, stallMs);
    dispatchers.set(ca, created);
    return created;
  };
  return {
    async send(wanted, settings) {
      let { url, ca } = wanted;
      for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
        const isFirstOrigin = url.origin === wanted.url.origin;
        const response = await exchange(url, wanted, dispatcherFor(ca), isFirstOrigin);
        const next = redirectOf(response, url);
        if (next === undefined) return { ...response, host: url.host };
        response.body.destroy();
        response.body.on('error', () => {});
        checkRedirect(url, next, settings);
        url = next;
        ca = url.origin === wanted.url.origin ? wanted.ca : findRegistry(settings, url.host)?.ca;
      }
      throw new SourceFailed(`${wanted.url.host} redirects without end`);
    },
    async close() {
      await Promise.all([...dispatchers.values()].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

type Answer = Omit<RegistryResponse, 'host'>;

async function exchange(
  url: URL,
  { method, headers, authorization, body, signal }: RegistryRequest,
  dispatcher: Dispatcher,
  isFirstOrigin: boolean,
): Promise<Answer> {
  try {
    const response = await request(url, {
      method,
      headers: { 'user-agent': 'tepui', ...headers, ...(isFirstOrigin && authorization && { authorization }) },
      ...(body !== undefined && isFirstOrigin && { body }),
      signal,
      dispatcher,
    });
    return { status: response.statusCode, headers: response.headers, body: response.body };
  } catch (error) {
    signal.throwIfAborted();
    throw describeFailure(error as NodeJS.ErrnoException, url);
  }
}

function redirectOf({ status, headers }: Answer, from: URL): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(status)) return undefined;
  const location = Array.isArray(headers.location) ? headers.location[0] : headers.location;
  if (location === undefined || !URL.canParse(location, from.href))
    throw new SourceFailed(`${from.host} redirects to nowhere`);
  return new URL(location, from.href);
}

function checkRedirect(from: URL, to: URL, settings: RegistriesSettings): void {
  if (to.username !== '' || to.password !== '')
    throw new SourceFailed(`${from.host} redirects to an address with a password in it`);
  if (to.protocol === 'https:') return;
  if (to.protocol !== 'http:') throw new SourceFailed(`${from.host} redirects to ${to.protocol} which is not HTTP`);
  const isAllowed = from.protocol === 'http:' && (to.host === from.host || findRegistry(settings, to.host)?.plainHttp);
  if (!isAllowed)
    throw new SourceFailed(
      `${from.host} redirects to plain HTTP at ${to.host}, which registries.yaml does not mark with plainHttp: true`,
    );
}

/** All that this machine trusts, and the operator's authority. */
function createDispatcher(ca: string, stallMs: number): EnvHttpProxyAgent {
  const tls = {
    ca: [...new Set([...getCACertificates('default'), ...getCACertificates('system')]), ...(ca === '' ? [] : [ca])],
  };
  return new EnvHttpProxyAgent({
    allowH2: false,
    connections: 16,
    headersTimeout: stallMs,
    bodyTimeout: stallMs,
    connect: { ...tls, timeout: CONNECT_TIMEOUT_MS },
    requestTls: { ...tls, timeout: CONNECT_TIMEOUT_MS },
  });
}
