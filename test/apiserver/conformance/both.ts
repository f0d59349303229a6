import { Agent, fetch } from 'undici';
import { startRealApiServer, whyNoRealApiServer } from '../../crds/real-apiserver.ts';
import { type Json, startTestServer } from '../server-fixture.ts';

export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: Json;
}

export interface BothServers {
  /** The same request to both. */
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ ours: Reply; genuine: Reply }>;
  close(): Promise<void>;
}

/** Why the comparison cannot be made here, printed once; undefined if it can. */
export function whyNotComparable(flavour: 'crd' | 'full'): string | undefined {
  const reason = whyNoRealApiServer(flavour);
  if (reason) console.warn(`skipped: comparison with a genuine API server (${flavour}): ${reason}`);
  return reason;
}

/** Our server and a genuine one, both empty. */
export async function startBoth(flavour: 'crd' | 'full'): Promise<BothServers> {
  const real = await startRealApiServer(flavour);
  const ours = await startTestServer();
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  const ask = async (
    base: string,
    token: string,
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Reply> => {
    const response = await fetch(base + path, {
      method,
      dispatcher,
      headers: {
        accept: 'application/json',
        'content-type': 'application/json',
        ...headers,
        authorization: `Bearer ${token}`,
      },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: text.startsWith('{') ? JSON.parse(text) : undefined,
    };
  };
  return {
    async call(method, path, body, headers = {}) {
      const [mine, genuine] = await Promise.all([
        ask(ours.server.url, ours.token, method, path, body, headers),
        ask(real.url, 'admin', method, path, body, headers),
      ]);
      return { ours: mine, genuine };
    },
    async close() {
      await dispatcher.destroy();
      await ours.close();
      await real.stop();
    },
  };
}

/** Fields whose values differ by nature. */
const volatile = new Set([
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'managedFields',
  'lastTransitionTime',
  'selfLink',
  'storageVersionHash',
  'observedGeneration',
]);

/** An answer without what differs by nature: identities, times, and the order of the members of objects. */
export function normal(value: Json): Json {
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(
    ([key, child]) => !volatile.has(key) && child !== null && !(key === 'continue' && child === ''),
  );
  return Object.fromEntries(entries.map(([key, child]) => [key, normal(child)]));
}

/** The causes of a 422, sorted. What only the genuine server adds to explain its own workings is left out. */
export function causesOf({ body }: Reply): string[] {
  const causes: { reason: string; field: string; message: string }[] = body.details?.causes ?? [];
  return causes
    .filter(({ field, message }) => field !== '<nil>' && !message.includes('accessor error'))
    .map(
      ({ reason, field, message }) =>
        `${reason} ${field.replace('spec.validation.', 'spec.versions[0].schema.')}: ${message}`,
    )
    .sort();
}
