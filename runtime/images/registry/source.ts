/** An image in a registry, with its mirrors: manifests and blobs, tried again and resumed. */
import { createHash } from 'node:crypto';
import {
  type Descriptor,
  digestOf,
  isDigest,
  MANIFEST_TYPES,
  ManifestInvalid,
  MOST_MANIFEST_BYTES,
  verifyDigest,
} from '../descriptor.ts';
import { type ImageSource, SourceFailed } from '../image-source.ts';
import type { RegistryReference } from '../reference.ts';
import type { RegistryCredentials } from './credentials.ts';
import { describeFailure } from './describe-failure.ts';
import { discard, type Endpoint, endpointsOf } from './endpoint.ts';
import { pause, RETRY_DELAYS_MS, withRetries } from './retry.ts';
import type { RegistriesSettings } from './settings.ts';
import type { RegistryResponse, Transport } from './transport.ts';

export interface RegistrySourceOptions {
  settings: RegistriesSettings;
  /** The task's; the operator's come after them. */
  credentials: RegistryCredentials[];
  transport: Transport;
  retryDelaysMs?: number[];
}

/** Throws SourceFailed when the operator blocked the registry. */
export function registrySource(reference: RegistryReference, options: RegistrySourceOptions): ImageSource {
  const { settings, transport, retryDelaysMs = RETRY_DELAYS_MS } = options;
  const endpoints = endpointsOf(reference, settings, [...options.credentials, ...settings.credentials], transport);
  const accept = { accept: MANIFEST_TYPES.join(', ') };
  const wanted = reference.digest ?? reference.tag!;

  return {
    async resolve(signal) {
      if (reference.digest !== undefined) return reference.digest;
      try {
        return await anywhere(endpoints, signal, retryDelaysMs, async (endpoint) => {
          const response = await endpoint.send('HEAD', `manifests/${wanted}`, accept, signal);
          discard(response);
          const digest = response.headers['docker-content-digest'];
          return isDigest(digest) ? digest : undefined;
        });
      } catch (error) {
        // Some registries know no HEAD: the manifest itself tells.
        const isOdd = error instanceof SourceFailed && !error.retryable && !error.notFound && !error.unauthorized;
        if (isOdd) return undefined;
        throw error;
      }
    },
    manifest: (digest, signal) =>
      anywhere(endpoints, signal, retryDelaysMs, async (endpoint) => {
        const expected = digest ?? reference.digest;
        const response = await endpoint.send('GET', `manifests/${expected ?? wanted}`, accept, signal);
        const bytes = await readAll(response, MOST_MANIFEST_BYTES, 'the manifest', signal);
        if (expected !== undefined) verifyDigest(bytes, expected, 'the manifest');
        return { bytes, digest: expected ?? digestOf(bytes) };
      }),
    smallBlob: (descriptor, signal) =>
      anywhere(endpoints, signal, retryDelaysMs, async (endpoint) => {
        const response = await endpoint.send('GET', `blobs/${descriptor.digest}`, {}, signal);
        const bytes = await readAll(response, descriptor.size, `blob ${descriptor.digest}`, signal);
        verifyDigest(bytes, descriptor.digest, 'a blob');
        return bytes;
      }),
    blob: (descriptor, signal) => download(endpoints, descriptor, retryDelaysMs, signal),
    close: async () => {},
  };
}

/** The first place that has it; what passes by itself is tried again at each. Rejects with the last place's failure, the registry's own, which names those of its mirrors. */
async function anywhere<T>(
  endpoints: Endpoint[],
  signal: AbortSignal,
  delaysMs: number[],
  ask: (endpoint: Endpoint) => Promise<T>,
): Promise<T> {
  const mirrors: string[] = [];
  for (const [index, endpoint] of endpoints.entries()) {
    const isLast = index === endpoints.length - 1;
    try {
      // A mirror that is down must not hold up what the registry would give.
      return await withRetries(() => ask(endpoint), signal, isLast ? delaysMs : delaysMs.slice(0, 1));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof SourceFailed || error instanceof ManifestInvalid)) throw error;
      if (isLast) throw withMirrors(error, mirrors);
      mirrors.push(error.message);
    }
  }
  throw new SourceFailed('there is no registry to ask');
}

/** Who has a mirror often reaches nothing else: what the registry itself says is then the least of it. */
function withMirrors(error: SourceFailed | ManifestInvalid, mirrors: string[]): Error {
  if (mirrors.length === 0 || !(error instanceof SourceFailed)) return error;
  return new SourceFailed(`${error.message} (before it its mirrors: ${mirrors.join('; ')})`, {
    ...error,
    cause: error,
  });
}

/**
 * A blob as it comes. A connection that breaks is taken up again where it was, at the next place if need be; tries are counted from the last byte
 * that came. Size and digest are checked at the end, whatever the bytes came from.
 */
async function* download(
  endpoints: Endpoint[],
  descriptor: Descriptor,
  delaysMs: number[],
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const { digest, size } = descriptor;
  const hash = createHash(digest.slice(0, digest.indexOf(':')));
  let offset = 0;
  let failures = 0;
  let place = 0;
  while (offset < size || (size === 0 && failures === 0)) {
    const endpoint = endpoints[place % endpoints.length]!;
    const before = offset;
    try {
      for await (const bytes of openBlob(endpoint, digest, offset, signal)) {
        if (offset + bytes.length > size) throw new SourceFailed(`blob ${digest} is longer than its ${size} bytes`);
        offset += bytes.length;
        hash.update(bytes);
        yield bytes;
      }
      if (offset === size) break;
      throw new SourceFailed(`${endpoint.host} ended blob ${digest} after ${offset} of ${size} bytes`, {
        retryable: true,
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof SourceFailed)) throw error;
      if (offset > before) failures = 0;
      const isLast = place % endpoints.length === endpoints.length - 1;
      // The next place may have what this one has not; the last one's word is final.
      if (!error.retryable && isLast) throw error;
      if (failures >= delaysMs.length + endpoints.length - 1) throw error;
      if (!isLast || !error.retryable) place++;
      failures++;
      if (error.retryable) await pause(error, delaysMs[Math.min(failures, delaysMs.length) - 1] ?? 0, signal);
    }
  }
  const found = `${digest.slice(0, digest.indexOf(':'))}:${hash.digest('hex')}`;
  if (found !== digest) throw new ManifestInvalid(`what came for blob ${digest} has the digest ${found}`);
}

async function* openBlob(
  endpoint: Endpoint,
  digest: string,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (offset > 0) headers.range = `bytes=${offset}-`;
  const response = await endpoint.send('GET', `blobs/${digest}`, headers, signal);
  // Not every server knows ranges: then what we have comes once more.
  let skip = response.status === 206 ? checkRange(response, offset) : offset;
  try {
    for await (const part of response.body) {
      const bytes = part as Buffer;
      if (skip >= bytes.length) {
        skip -= bytes.length;
        continue;
      }
      yield skip === 0 ? bytes : bytes.subarray(skip);
      skip = 0;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof SourceFailed
      ? error
      : describeFailure(error as NodeJS.ErrnoException, new URL(`https://${response.host}`));
  } finally {
    response.body.on('error', () => {});
    response.body.destroy();
  }
}

function checkRange({ headers, host }: RegistryResponse, offset: number): number {
  const start = /^bytes (\d+)-/.exec(String(headers['content-range'] ?? ''))?.[1];
  if (start !== undefined && Number(start) !== offset)
    throw new SourceFailed(`${host} sent from byte ${start} when asked from ${offset}`, { retryable: true });
  return 0;
}

async function readAll(response: RegistryResponse, most: number, what: string, signal: AbortSignal): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of response.body) {
      length += (part as Buffer).length;
      if (length > most) throw new ManifestInvalid(`${what} has more than ${most} bytes`);
      parts.push(part as Buffer);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ManifestInvalid) throw error;
    throw describeFailure(error as NodeJS.ErrnoException, new URL(`https://${response.host}`));
  } finally {
    response.body.on('error', () => {});
    response.body.destroy();
  }
  return Buffer.concat(parts);
}
