import type { Dispatcher } from 'undici';

/** What takes requests and answers them: a pool of sockets, or an API server in the same process. */
export type RequestSender = Pick<Dispatcher, 'dispatch'>;

/** Where an API server is and how to prove who we are to it. Made by kubeconfig.ts, or by hand for an embedded server. */
export interface ClusterConfig {
  /** Base address, for example `https://127.0.0.1:6443`; a path prefix is kept. */
  server: string;
  /** PEM certificates that the server's certificate must descend from. Default: the system's. */
  ca?: string | Buffer;
  /** Name to check the server's certificate against, where it is not the host of `server`. */
  tlsServerName?: string;
  insecureSkipTlsVerify?: boolean;
  /** Namespace of the kubeconfig's context. Default: `default`. */
  namespace?: string;
  /** Fixed credentials. */
  credentials?: Credentials;
  /** Credentials that change with time (token file, exec plugin). Called before each request, so it must cache. */
  refreshCredentials?: (rejected: boolean) => Promise<Credentials>;
  /** In place of sockets to `server`: the API server of this process. Default: sockets. */
  sender?: RequestSender;
}

export interface Credentials {
  token?: string;
  username?: string;
  password?: string;
  /** Client certificate and key, PEM. */
  cert?: string | Buffer;
  key?: string | Buffer;
}

/** The value of the Authorization header, if there is one to send. */
export function authorizationHeader(credentials: Credentials | undefined): string | undefined {
  if (credentials?.token) return `Bearer ${credentials.token}`;
  if (credentials?.username === undefined) return undefined;
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password ?? ''}`).toString('base64')}`;
}
