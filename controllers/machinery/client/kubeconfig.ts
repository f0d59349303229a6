/**
 * Finds and reads kubeconfig files, the way kubectl does, and is the only file that touches @kubernetes/client-node. Importing that package
 * costs 80 MiB of memory, more than the rest of the control plane together, so the common cases (token, token file, client certificate,
 * password, in-cluster) are read here, an exec plugin loads its one small module, and only the old cloud `auth-provider`s load all of it.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import type { ClusterConfig, Credentials } from './cluster-config.ts';

export interface KubeconfigOptions {
  /** A kubeconfig file. Default: $KUBECONFIG (several files are merged), ~/.kube/config, then the pod's service account. */
  kubeconfig?: string;
  /** Default: the file's current-context. */
  context?: string;
  env?: NodeJS.ProcessEnv;
}

/** The configuration cannot be used; the message names the file and the field. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError';
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Kubelet renews projected tokens at 80 % of at least ten minutes. */
const TOKEN_FILE_MS = 60_000;

/** Throws KubeconfigError. */
export async function loadClusterConfig(options: KubeconfigOptions = {}): Promise<ClusterConfig> {
  const env = options.env ?? process.env;
  const files = findFiles(options.kubeconfig, env);
  if (files.length === 0) {
    const inCluster = loadInClusterConfig(env);
    if (inCluster) return inCluster;
    throw new KubeconfigError('no kubeconfig: give --kubeconfig FILE, or set KUBECONFIG, or write ~/.kube/config');
  }
  const { parse } = await import('yaml');
  const kubeconfig = merge(files.map((file) => readKubeconfig(file, parse)));
  const origin = files.join(delimiter);

  const contextName = options.context ?? kubeconfig['current-context'];
  if (!contextName) throw new KubeconfigError(`${origin}: current-context is not set`);
  const context = find(kubeconfig.contexts, contextName, 'context', origin).context;
  const { cluster } = find(kubeconfig.clusters, context?.cluster, 'cluster', origin);
  const user = context?.user ? find(kubeconfig.users, context.user, 'user', origin).user : {};
  if (!cluster?.server || !URL.canParse(cluster.server))
    throw new KubeconfigError(`${origin}: cluster ${context?.cluster}: server is not a URL`);
  if (cluster['proxy-url'])
    throw new KubeconfigError(`${origin}: cluster ${context?.cluster}: proxy-url is not supported`);

  return {
    server: cluster.server,
    ca: inline(cluster['certificate-authority-data'], cluster['certificate-authority']),
    tlsServerName: cluster['tls-server-name'],
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'],
    namespace: context?.namespace,
    ...(await credentialsOf(user ?? {}, context!.user ?? '', { origin, files, contextName })),
  };
}

/** Reads what a pod gets from its service account; undefined outside of a pod. */
export function loadInClusterConfig(
  env: NodeJS.ProcessEnv = process.env,
  root = SERVICE_ACCOUNT,
): ClusterConfig | undefined {
  const host = env.KUBERNETES_SERVICE_HOST;
  if (!host || !existsSync(`${root}/token`)) return undefined;
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${env.KUBERNETES_SERVICE_PORT ?? '443'}`,
    ca: readFileSync(`${root}/ca.crt`),
    namespace: existsSync(`${root}/namespace`) ? readFileSync(`${root}/namespace`, 'utf8').trim() : undefined,
    refreshCredentials: tokenFile(`${root}/token`),
  };
}

interface Cluster {
  server?: string;
  'certificate-authority'?: string;
  'certificate-authority-data'?: string;
  'insecure-skip-tls-verify'?: boolean;
  'tls-server-name'?: string;
  'proxy-url'?: string;
}

interface User {
  token?: string;
  tokenFile?: string;
  username?: string;
  password?: string;
  'client-certificate'?: string;
  'client-certificate-data'?: string;
  'client-key'?: string;
  'client-key-data'?: string;
  exec?: { command: string; args?: string[]; env?: { name: string; value: string }[]; apiVersion?: string };
  'auth-provider'?: { name: string };
}

interface Kubeconfig {
  'current-context'?: string;
  clusters: { name: string; cluster?: Cluster }[];
  contexts: { name: string; context?: { cluster?: string; user?: string; namespace?: string } }[];
  users: { name: string; user?: User }[];
}

function findFiles(path: string | undefined, env: NodeJS.ProcessEnv): string[] {
  if (path) return [resolve(path)];
  // As kubectl: files of the list that do not exist are passed over, unless none exists.
  const listed = (env.KUBECONFIG ?? '').split(delimiter).filter(Boolean);
  const existing = listed.filter((file) => existsSync(file));
  if (listed.length > 0) return (existing.length > 0 ? existing : listed.slice(0, 1)).map((file) => resolve(file));
  const own = join(env.HOME ?? homedir(), '.kube', 'config');
  return existsSync(own) ? [own] : [];
}

function readKubeconfig(file: string, parse: (text: string) => unknown): Kubeconfig {
  let document: unknown;
  try {
    document = parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new KubeconfigError(`${file}: ${(cause as Error).message}`, { cause });
  }
  if (typeof document !== 'object' || document === null) throw new KubeconfigError(`${file}: not a kubeconfig`);
  const kubeconfig = { ...(document as Partial<Kubeconfig>) };
  const from = (path: string | undefined) => (path && !isAbsolute(path) ? join(dirname(file), path) : path);
  return {
    'current-context': kubeconfig['current-context'],
    contexts: kubeconfig.contexts ?? [],
    clusters: (kubeconfig.clusters ?? []).map(({ name, cluster }) => ({
      name,
      cluster: { ...cluster, 'certificate-authority': from(cluster?.['certificate-authority']) },
    })),
    users: (kubeconfig.users ?? []).map(({ name, user }) => ({
      name,
      user: {
        ...user,
        tokenFile: from(user?.tokenFile),
        'client-certificate': from(user?.['client-certificate']),
        'client-key': from(user?.['client-key']),
      },
    })),
  };
}

/** The first file that sets something wins. */
function merge(files: Kubeconfig[]): Kubeconfig {
  return {
    'current-context': files.find((file) => file['current-context'])?.['current-context'],
    clusters: files.flatMap((file) => file.clusters),
    contexts: files.flatMap((file) => file.contexts),
    users: files.flatMap((file) => file.users),
  };
}

function find<E extends { name: string }>(entries: E[], name: string | undefined, what: string, origin: string): E {
  const entry = entries.find((candidate) => candidate.name === name);
  if (!entry) throw new KubeconfigError(`${origin}: there is no ${what} named "${name ?? ''}"`);
  return entry;
}

function inline(data: string | undefined, file: string | undefined): Buffer | undefined {
  if (data) return Buffer.from(data, 'base64');
  return file ? readNamedFile(file) : undefined;
}

function readNamedFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new KubeconfigError(`kubeconfig names a file that cannot be read: ${(cause as Error).message}`, { cause });
  }
}

interface Place {
  origin: string;
  files: string[];
  contextName: string;
}

async function credentialsOf(
  user: User,
  name: string,
  place: Place,
): Promise<Pick<ClusterConfig, 'credentials' | 'refreshCredentials'>> {
  const fixed: Credentials = {
    token: user.token,
    username: user.username,
    password: user.password,
    cert: inline(user['client-certificate-data'], user['client-certificate']),
    key: inline(user['client-key-data'], user['client-key']),
  };
  if (user.exec) return { refreshCredentials: await execPlugin(name, user.exec, fixed) };
  if (user['auth-provider']) return { refreshCredentials: await authProvider(place) };
  if (user.tokenFile) return { refreshCredentials: tokenFile(user.tokenFile, fixed) };
  return { credentials: fixed };
}

/** Reads the file again once a minute, or when the server refused the token. */
function tokenFile(file: string, fixed: Credentials = {}): NonNullable<ClusterConfig['refreshCredentials']> {
  let read: { token: string; time: number } | undefined;
  return async (rejected) => {
    if (!read || rejected || performance.now() - read.time > TOKEN_FILE_MS) {
      read = { token: readNamedFile(file).toString('utf8').trim(), time: performance.now() };
    }
    return { ...fixed, token: read.token };
  };
}

async function execPlugin(
  name: string,
  exec: NonNullable<User['exec']>,
  fixed: Credentials,
): Promise<NonNullable<ClusterConfig['refreshCredentials']>> {
  const { ExecAuth } = await import('@kubernetes/client-node/dist/exec_auth.js');
  let plugin = new ExecAuth();
  return async (rejected) => {
    if (rejected) plugin = new ExecAuth();
    // Plugins decide by this variable which version of the protocol to answer with.
    const info = JSON.stringify({
      apiVersion: exec.apiVersion ?? 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      spec: { interactive: false },
    });
    const env = [{ name: 'KUBERNETES_EXEC_INFO', value: info }, ...(exec.env ?? [])];
    const answer: { headers?: Record<string, string>; cert?: string; key?: string } = {};
    await plugin.applyAuthentication({ name, exec: { ...exec, args: exec.args ?? [], env } } as never, answer as never);
    return {
      ...fixed,
      token: answer.headers?.Authorization?.replace(/^Bearer /, ''),
      cert: answer.cert ?? fixed.cert,
      key: answer.key ?? fixed.key,
    };
  };
}

/** OpenID Connect and the removed cloud providers: the whole of client-node, which knows them. */
async function authProvider(place: Place): Promise<NonNullable<ClusterConfig['refreshCredentials']>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromFile(place.files[0]!);
  config.setCurrentContext(place.contextName);
  return async () => {
    const answer: { headers?: Record<string, string>; cert?: string; key?: string } = {};
    await config.applyToHTTPSOptions(answer as never);
    return { token: answer.headers?.Authorization?.replace(/^Bearer /, ''), cert: answer.cert, key: answer.key };
  };
}
