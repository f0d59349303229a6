import type { Dispatcher, Pool as PoolType } from 'undici';
// undici's index loads fetch, WebSocket, caches and more: 8 MiB of memory that this client never uses.
// @ts-expect-error: the module inside the package has no types of its own; Pool's are imported above.
import PoolConstructor from 'undici/lib/dispatcher/pool.js';
import { authorizationHeader, type ClusterConfig, type Credentials } from './cluster-config.ts';

const Pool = PoolConstructor as typeof PoolType;

/** Sockets to one API server. */
export interface Connections {
  /** For requests that end; at most `connections` at a time, kept alive. */
  requests(): Promise<Connection>;
  /** For watches: each holds a socket of its own, so they must not compete with requests. */
  streams(): Promise<Connection>;
  /** Call after a 401: credentials that can be renewed are. Returns whether trying again makes sense. */
  renewCredentials(): Promise<boolean>;
  close(): Promise<void>;
}

export interface Connection {
  dispatcher: Dispatcher;
  authorization: string | undefined;
}

/** Opens nothing yet; sockets are made on first use, and again when a client certificate changes. */
export function createConnections(config: ClusterConfig, connections: number): Connections {
  const { origin } = new URL(config.server);
  let pools: { certificate: string; requests: PoolType; streams: PoolType } | undefined;

  const current = async (): Promise<{ pools: NonNullable<typeof pools>; credentials: Credentials | undefined }> => {
    const credentials = config.refreshCredentials ? await config.refreshCredentials(false) : config.credentials;
    const certificate = String(credentials?.cert ?? '');
    if (!pools || pools.certificate !== certificate) {
      const previous = pools;
      pools = {
        certificate,
        requests: createPool(origin, config, credentials, connections),
        streams: createPool(origin, config, credentials, null),
      };
      // Running calls end on the old sockets; close() waits for them, so it is not awaited.
      if (previous) void Promise.allSettled([previous.requests.close(), previous.streams.close()]);
    }
    return { pools, credentials };
  };

  return {
    async requests() {
      const { pools, credentials } = await current();
      return { dispatcher: pools.requests, authorization: authorizationHeader(credentials) };
    },
    async streams() {
      const { pools, credentials } = await current();
      return { dispatcher: pools.streams, authorization: authorizationHeader(credentials) };
    },
    async renewCredentials() {
      if (!config.refreshCredentials) return false;
      await config.refreshCredentials(true);
      return true;
    },
    async close() {
      const closing = pools;
      pools = undefined;
      if (closing) await Promise.allSettled([closing.requests.destroy(), closing.streams.destroy()]);
    },
  };
}

function createPool(
  origin: string,
  config: ClusterConfig,
  credentials: Credentials | undefined,
  connections: number | null,
): PoolType {
  return new Pool(origin, {
    connections,
    pipelining: 1,
    allowH2: false,
    // Shorter than the servers' (kube-apiserver 90 s or more, ours 120 s), so that we never write into a socket just closed by the other side.
    keepAliveTimeout: 30_000,
    keepAliveMaxTimeout: 50_000,
    connect: {
      timeout: 10_000,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      ca: config.ca,
      cert: credentials?.cert,
      key: credentials?.key,
      servername: config.tlsServerName,
      rejectUnauthorized: !config.insecureSkipTlsVerify,
    },
  });
}
