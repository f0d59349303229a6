/** Registry credentials in the form of Docker's config.json, from the operator's file or from pull secrets. */

/** The credentials of one file or secret, most specific place first when looked up. */
export interface RegistryCredentials {
  /** Where they come from, for error messages: a path, or `secret default/pull`. */
  origin: string;
  entries: RegistryCredential[];
}

export interface RegistryCredential {
  /** `host[:port][/path]`: the repositories that it is for. */
  prefix: string;
  username: string;
  password: string;
  /** An OAuth2 refresh token in place of a password. */
  identityToken?: string;
}

/** The text is not a config.json; the message names the field. */
export class CredentialsInvalid extends Error {
  override name = 'CredentialsInvalid';
}

interface DockerAuth {
  auth?: unknown;
  username?: unknown;
  password?: unknown;
  identitytoken?: unknown;
}

/** Reads `{"auths": {"host[:port][/path]": {"auth": base64 of user:password}}}`. Throws CredentialsInvalid, which never has a secret in it. */
export function parseDockerConfig(text: string, origin: string): RegistryCredentials {
  let config: { auths?: unknown; credHelpers?: unknown; credsStore?: unknown } | null;
  try {
    config = JSON.parse(text);
  } catch {
    throw new CredentialsInvalid(`${origin}: it is not JSON`);
  }
  if (!isObject(config)) throw new CredentialsInvalid(`${origin}: it is not a JSON object`);
  for (const field of ['credHelpers', 'credsStore'] as const)
    if (config[field] !== undefined)
      throw new CredentialsInvalid(
        `${origin}: ${field}: credential helper programs are not run; put the login in "auths"`,
      );
  const auths = config.auths ?? {};
  if (!isObject(auths)) throw new CredentialsInvalid(`${origin}: auths: it is not an object`);
  return {
    origin,
    entries: Object.entries(auths).map(([key, value]) => credentialOf(key, value, `${origin}: auths["${key}"]`)),
  };
}

/**
 * The credentials of a Secret of type kubernetes.io/dockerconfigjson (or the older kubernetes.io/dockercfg, whose key `.dockercfg` holds only the
 * `auths`). `data` is base64, as in the document. Throws CredentialsInvalid.
 */
export function credentialsOfSecret(secret: {
  metadata?: { namespace?: string; name?: string };
  type?: string;
  data?: Record<string, string>;
}): RegistryCredentials {
  const origin = `secret ${secret.metadata?.namespace}/${secret.metadata?.name}`;
  const key =
    secret.type === 'kubernetes.io/dockerconfigjson'
      ? '.dockerconfigjson'
      : secret.type === 'kubernetes.io/dockercfg'
        ? '.dockercfg'
        : undefined;
  if (key === undefined)
    throw new CredentialsInvalid(
      `${origin}: its type is ${secret.type ?? 'Opaque'}; a pull secret has type kubernetes.io/dockerconfigjson`,
    );
  const encoded = secret.data?.[key];
  if (encoded === undefined) throw new CredentialsInvalid(`${origin}: data["${key}"] is missing`);
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  return parseDockerConfig(key === '.dockercfg' ? `{"auths":${text}}` : text, `${origin}: data["${key}"]`);
}

/**
 * The credentials whose prefix contains the repository, to be tried in this order: the longest prefix first, of equal ones the first. `place` is
 * `host[:port]/repository`. The names that Docker Hub had over the years are one.
 */
export function findCredentials(sources: RegistryCredentials[], place: string): RegistryCredential[] {
  return sources
    .flatMap(({ entries }) => entries)
    .filter(({ prefix }) => contains(prefix, place))
    .sort((a, b) => b.prefix.length - a.prefix.length);
}

function contains(prefix: string, place: string): boolean {
  return place === prefix || place.startsWith(`${prefix}/`);
}

function credentialOf(key: string, value: unknown, where: string): RegistryCredential {
  if (!isObject(value)) throw new CredentialsInvalid(`${where}: it is not an object`);
  const { auth, username, password, identitytoken } = value as DockerAuth;
  const prefix = prefixOf(key);
  const identityToken =
    typeof identitytoken === 'string' && identitytoken !== '' ? { identityToken: identitytoken } : {};
  if (typeof auth === 'string' && auth !== '') {
    const decoded = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
    const colon = decoded.indexOf(':');
    if (colon < 0) throw new CredentialsInvalid(`${where}.auth: it is not the base64 of "user:password"`);
    return { prefix, username: decoded.slice(0, colon), password: decoded.slice(colon + 1), ...identityToken };
  }
  if (typeof username === 'string' && typeof password === 'string')
    return { prefix, username, password, ...identityToken };
  if ('identityToken' in identityToken) return { prefix, username: '', password: '', ...identityToken };
  throw new CredentialsInvalid(`${where}: it has neither "auth" nor "username" and "password"`);
}

/** Keys may be URLs of the old kind (`https://index.docker.io/v1/`). */
function prefixOf(key: string): string {
  const place = key
    .replace(/^https?:\/\//, '')
    .replace(/\/v[12]\/?$/, '')
    .replace(/\/+$/, '');
  return place.replace(/^(index\.docker\.io|registry-1\.docker\.io)(?=\/|$)/, 'docker.io');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
