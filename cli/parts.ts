/** The three parts of a system, started the same way by `up` and by the commands of their own. */
import type { Logger } from 'pino';
import type { ApiClient } from '../controllers/machinery/client/client.ts';
import type { RequestSender } from '../controllers/machinery/client/cluster-config.ts';
import type { AgentOptions, RunningAgent } from '../runtime/agent/index.ts';
import { installCrds } from './install-crds.ts';
import { VERSION } from './version.ts';

export interface ServerPart {
  port: number;
  kubeconfigPath: string;
  loopback: RequestSender;
  close(): Promise<void>;
}

/** The embedded API server with the tepui kinds installed. */
export async function startServerPart(options: {
  dataDir: string;
  port: number;
  address: string;
  logger: Logger;
}): Promise<ServerPart> {
  const { startApiServer } = await import('../apiserver/server.ts');
  const server = await startApiServer(options);
  try {
    const client = await clientOf(server.kubeconfigPath, server.loopback);
    await installCrds(client);
    await client.close();
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** A client with the kubeconfig's credentials; with `sender`, of a server in this process, without a socket. */
export async function clientOf(kubeconfig: string, sender?: RequestSender): Promise<ApiClient> {
  const { loadClusterConfig } = await import('../controllers/machinery/client/kubeconfig.ts');
  const { createApiClient } = await import('../controllers/machinery/client/api-client.ts');
  return createApiClient({ ...(await loadClusterConfig({ kubeconfig })), ...(sender && { sender }) });
}

export interface ControllerPart {
  /** Stops reconciling and releases the leader lease. */
  close(): Promise<void>;
  /** Rejects when the controllers end by themselves, for example because leadership was lost. */
  ended: Promise<void>;
}

export interface ControllerPartOptions {
  client: ApiClient;
  logger: Logger;
  leaderElect?: boolean;
  /** `host:port` where /healthz, /readyz and /metrics are served. */
  metricsAddress?: string;
  /** Resolves at once, rather than when the controllers are at work: a follower waits long. */
  inBackground?: boolean;
}

export async function startControllerPart(options: ControllerPartOptions): Promise<ControllerPart> {
  const { createControllers } = await import('../controllers/index.ts');
  const { client, logger, leaderElect = false, metricsAddress } = options;
  const manager = createControllers({ client, logger, leaderElect, ...(metricsAddress ? { metricsAddress } : {}) });
  const stop = new AbortController();
  const ended = manager.run(stop.signal);
  ended.catch(() => {});
  if (!options.inBackground) await Promise.race([manager.ready, ended]);
  return {
    ended,
    async close() {
      stop.abort();
      await ended.catch(() => {});
    },
  };
}

export interface AgentPartOptions {
  client: ApiClient;
  dataDir: string;
  logger: Logger;
  name?: string;
  options?: AgentOptions;
}

export async function startAgentPart(options: AgentPartOptions): Promise<RunningAgent> {
  const { startAgent } = await import('../runtime/agent/index.ts');
  return startAgent({ ...options, options: { version: VERSION, ...options.options } });
}
