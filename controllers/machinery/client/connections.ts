import type { Pool } from 'undici';
import { authorizationHeader, type ClusterConfig, type Credentials, type RequestSender } from './cluster-config.ts';

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
  sender: RequestSender;
  authorization: string | undefined;
}

/** Opens nothing yet; sockets are made on first use, and again when a client certificate changes. */
export function createConnections(config: ClusterConfig, connections: number): Connections {
  if (config.sender) return withoutSockets(config.sender, config);
  const { origin } = new URL(config.server);
  let pools: { certificate: string; requests: Pool; streams: Pool } | undefined;

  const current = async (): Promise<{ pools: NonNullable<typeof pools>; credentials: Credentials | undefined }> => {
    const credentials = config.refreshCredentials ? await config.refreshCredentials(false) : config.credentials;
    const certificate = String(credentials?.cert ?? '');
    if (!pools || pools.certificate !== certificate) {
      const PoolConstructor = await loadPool();
      if (pools?.certificate === certificate) return { pools, credentials };
      const previous = pools;
      pools = {
        certificate,
        requests: new PoolConstructor(origin, poolOptions(config, credentials, connections)),
        streams: new PoolConstructor(origin, poolOptions(config, credentials, null)),
      };
      // Running calls end on the old sockets; close() waits for them, so it is not awaited.
      if (previous) void Promise.allSettled([previous.requests.close(), previous.streams.close()]);
    }
    return { pools, credentials };
  };

  return {
    async requests() {
      const { pools, credentials } = await current();
      return { sender: pools.requests, authorization: authorizationHeader(credentials) };
    },
    async streams() {
      const { pools, credentials } = await current();
      return { sender: pools.streams, authorization: authorizationHeader(credentials) };
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

/** No sockets, nothing to renew or close: the sender is its maker's. */
function withoutSockets(sender: RequestSender, config: ClusterConfig): Connections {
  const connection = { sender, authorization: authorizationHeader(config.credentials) };
  return {
    requests: async () => connection,
    streams: async () => connection,
    renewCredentials: async () => false,
    close: async () => {},
  };
}

/** Loaded when the first socket is needed: it costs 25 MiB, which a client without sockets does not pay. */
async function loadPool(): Promise<typeof Pool> {
  // undici's index would load fetch, WebSocket, caches and more: 8 MiB more that this client never uses.
  // @ts-expect-error: the module inside the package has no types of its own; Pool's are imported above.
  const { default: pool } = await import('undici/lib/dispatcher/pool.js');
  return pool as typeof Pool;
}

function poolOptions(
  config: ClusterConfig,
  credentials: Credentials | undefined,
  connections: number | null,
): Pool.Options {
  return {
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
  };
}
