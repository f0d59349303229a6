/** How a registry wants to be asked: nothing, Basic, or a Bearer token from the place that its challenge names. */
import { SourceFailed } from '../image-source.ts';
import type { RegistryCredential } from './credentials.ts';
import type { RegistriesSettings } from './settings.ts';
import type { Transport } from './transport.ts';

export interface Challenge {
  scheme: string;
  parameters: Record<string, string>;
}

export interface Authorization {
  /** The header to send now; undefined before anything was asked for. */
  header(): string | undefined;
  /** Answers a 401. Rejects with SourceFailed when there is nothing (more) to answer with. */
  answer(challenges: Challenge[], signal: AbortSignal): Promise<void>;
}

export interface AuthorizationOptions {
  transport: Transport;
  settings: RegistriesSettings;
  /** Of the registry: plain HTTP for tokens only where the registry itself is marked so. */
  registry: { host: string; plainHttp: boolean; ca?: string | undefined };
  repository: string;
  credential: RegistryCredential | undefined;
}

const MOST_TOKEN_BYTES = 1 << 20;

/** For one repository. Tokens are kept in memory as long as this is. */
export function createAuthorization(options: AuthorizationOptions): Authorization {
  const { credential, registry } = options;
  let header: string | undefined;
  let pending: Promise<string> | undefined;
  return {
    header: () => header,
    async answer(challenges, signal) {
      // Layers that are asked for at once share one token.
      pending ??= choose(challenges, signal).finally(() => {
        pending = undefined;
      });
      header = await pending;
    },
  };

  async function choose(challenges: Challenge[], signal: AbortSignal): Promise<string> {
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) return `Bearer ${await fetchToken(bearer.parameters, options, signal)}`;
    if (!challenges.some(({ scheme }) => scheme === 'basic'))
      throw refused(`${registry.host} asks for a login of an unknown kind`);
    if (credential === undefined || credential.username === '')
      throw refused(`${registry.host} asks for a login, and there is none for ${registry.host}/${options.repository}`);
    const value = basic(credential);
    if (value === header) throw refused(`${registry.host} does not accept the login of user "${credential.username}"`);
    return value;
  }
}

/** RFC 9110: several challenges in one header, quoted values with commas in them. Pure. */
export function parseChallenges(value: string | string[] | undefined): Challenge[] {
  const text = Array.isArray(value) ? value.join(', ') : (value ?? '');
  const challenges: Challenge[] = [];
  const token = /\s*,?\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/gy;
  for (let match = token.exec(text); match !== null && match[0] !== ''; match = token.exec(text)) {
    const [, name = '', quoted, plain] = match;
    const current = challenges.at(-1);
    const parameter = quoted?.replace(/\\(.)/g, '$1') ?? plain;
    if (parameter === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: {} });
    else if (current) current.parameters[name.toLowerCase()] = parameter;
  }
  return challenges;
}

async function fetchToken(
  parameters: Record<string, string>,
  { transport, settings, registry, repository, credential }: AuthorizationOptions,
  signal: AbortSignal,
): Promise<string> {
  const realm = parameters.realm ?? '';
  if (!URL.canParse(realm)) throw refused(`${registry.host} names no place that gives tokens`);
  const url = new URL(realm);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && registry.plainHttp))
    throw refused(`${registry.host} wants a token fetched from ${url.origin}, which is not HTTPS`);
  // What is asked for is ours to say: a registry cannot make us fetch a token for something else.
  const scope = `repository:${repository}:pull`;
  const common = { url, signal, ca: url.host === registry.host ? registry.ca : undefined };
  let response: Awaited<ReturnType<Transport['send']>>;
  if (credential?.identityToken !== undefined) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      service: parameters.service ?? registry.host,
      client_id: 'tepui',
      scope,
      refresh_token: credential.identityToken,
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    response = await transport.send({ ...common, method: 'POST', headers, body: form.toString() }, settings);
  } else {
    if (parameters.service !== undefined) url.searchParams.set('service', parameters.service);
    url.searchParams.set('scope', scope);
    if (credential !== undefined) url.searchParams.set('account', credential.username);
    const authorization = credential === undefined ? undefined : basic(credential);
    response = await transport.send({ ...common, method: 'GET', headers: {}, authorization }, settings);
  }
  const text = await readText(response.body);
  if (response.status === 401 || response.status === 403)
    throw refused(
      credential === undefined
        ? `${registry.host} asks for a login, and there is none for ${registry.host}/${repository}`
        : `${url.host} does not accept the login of user "${credential.username}"`,
    );
  if (response.status !== 200)
    throw new SourceFailed(`${url.host} answered ${response.status} when asked for a token`, {
      retryable: response.status >= 500 || response.status === 429,
    });
  const token = tokenIn(text);
  if (token === undefined) throw new SourceFailed(`${url.host} gave no token`);
  return token;
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of body) {
    length += part.length;
    if (length > MOST_TOKEN_BYTES) throw new SourceFailed('the answer with the token is too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function tokenIn(text: string): string | undefined {
  try {
    const answer = JSON.parse(text) as { token?: unknown; access_token?: unknown } | null;
    const token = answer?.token ?? answer?.access_token;
    return typeof token === 'string' && /^[\x21-\x7e]+$/.test(token) ? token : undefined;
  } catch {
    return undefined;
  }
}

function basic({ username, password }: RegistryCredential): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function refused(message: string): SourceFailed {
  return new SourceFailed(message, { unauthorized: true });
}
