/** One repository at one place that serves it: the registry itself, or a mirror. */
import { SourceFailed } from '../image-source.ts';
import { DEFAULT_REGISTRY, type RegistryReference } from '../reference.ts';
import { createAuthorization, parseChallenges } from './authorization.ts';
import { findCredentials, type RegistryCredential, type RegistryCredentials } from './credentials.ts';
import { findRegistry, type RegistriesSettings, type RegistryLocation } from './settings.ts';
import type { RegistryResponse, Transport } from './transport.ts';

export interface Endpoint {
  host: string;
  /** `path` is what comes after `/v2/<repository>/`. Rejects with SourceFailed for every status but 200 and 206. */
  send(
    method: 'GET' | 'HEAD',
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<RegistryResponse>;
}

/** Mirrors first, the registry itself last. Throws SourceFailed when the operator blocked it. */
export function endpointsOf(
  { registry, repository }: RegistryReference,
  settings: RegistriesSettings,
  credentials: RegistryCredentials[],
  transport: Transport,
): Endpoint[] {
  const place = `${registry}/${repository}`;
  const entry = findRegistry(settings, place);
  if (entry?.blocked) throw new SourceFailed(`registries.yaml has blocked: true for ${entry.prefix}`);
  const own: RegistryLocation = entry ?? { location: registry, plainHttp: false };
  const rest = place.slice((entry?.prefix ?? registry).length);
  return [...(entry?.mirrors ?? []), own].map((location) =>
    createEndpoint(location, rest, settings, credentials, transport),
  );
}

function createEndpoint(
  { location, plainHttp, ca }: RegistryLocation,
  rest: string,
  settings: RegistriesSettings,
  credentials: RegistryCredentials[],
  transport: Transport,
): Endpoint {
  const place = `${location}${rest}`;
  const slash = place.indexOf('/');
  const [registry, repository] = [place.slice(0, slash), place.slice(slash + 1)];
  const host = registry === DEFAULT_REGISTRY ? 'registry-1.docker.io' : registry;
  const base = `${plainHttp ? 'http' : 'https'}://${host}/v2/${repository}/`;
  const authorizationWith = (credential: RegistryCredential | undefined) =>
    createAuthorization({ transport, settings, registry: { host, plainHttp, ca }, repository, credential });
  // Those for this very place: a mirror never gets the registry's. What is not let in makes way for the next, as with a kubelet.
  const [first, ...others] = findCredentials(credentials, place);
  let authorization = authorizationWith(first);
  const sendOnce: Endpoint['send'] = async (method, path, headers, signal) => {
    for (let attempt = 0; ; attempt++) {
      const response = await transport.send(
        { method, url: new URL(base + path), headers, authorization: authorization.header(), signal, ca },
        settings,
      );
      if (response.status === 200 || response.status === 206) return response;
      discard(response);
      if (response.status !== 401 || attempt === 2) throw problemOf(response, `${registry}/${repository}`);
      await authorization.answer(parseChallenges(response.headers['www-authenticate']), signal);
    }
  };
  return {
    host,
    async send(...request) {
      for (;;) {
        const used = authorization;
        try {
          return await sendOnce(...request);
        } catch (error) {
          if (!(error instanceof SourceFailed && error.unauthorized)) throw error;
          // Of several requests at once only one goes on to the next.
          if (used !== authorization) continue;
          const next = others.shift();
          if (next === undefined) throw error;
          authorization = authorizationWith(next);
        }
      }
    },
  };
}

/** So that the connection is free for others. */
export function discard({ body }: RegistryResponse): void {
  body.on('error', () => {});
  void body.dump().catch(() => {});
}

function problemOf({ status, host, headers }: RegistryResponse, place: string): SourceFailed {
  if (status === 401 || status === 403)
    return new SourceFailed(`${host} does not allow to pull from ${place} (status ${status})`, { unauthorized: true });
  if (status === 404) return new SourceFailed(`${place} does not have it`, { notFound: true });
  const seconds = Number(headers['retry-after']);
  return new SourceFailed(`${host} answered ${status}`, {
    retryable: status === 408 || status === 425 || status === 429 || status >= 500,
    ...(seconds > 0 && { retryAfterMs: Math.min(seconds, 60) * 1000 }),
  });
}
