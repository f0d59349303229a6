/** The three parts of a system, started the same way by `up` and by the commands of their own. */
import type { Logger } from 'pino';
import type { ApiClient } from '../controllers/machinery/client/client.ts';
import { installCrds } from './install-crds.ts';

export interface ServerPart {
  port: number;
  kubeconfigPath: string;
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
    const client = await clientOf(server.kubeconfigPath);
    await installCrds(client);
    await client.close();
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

export async function clientOf(kubeconfig: string): Promise<ApiClient> {
  const { loadClusterConfig } = await import('../controllers/machinery/client/kubeconfig.ts');
  const { createApiClient } = await import('../controllers/machinery/client/api-client.ts');
  return createApiClient(await loadClusterConfig({ kubeconfig }));
}

export interface ControllerPart {
  /** Stops reconciling and releases the leader lease. */
  close(): Promise<void>;
  /** Settles when the controllers end by themselves: leadership was lost. */
  ended: Promise<void>;
}

export async function startControllerPart(options: {
  client: ApiClient;
  logger: Logger;
  leaderElect?: boolean;
  metricsAddress?: string;
}): Promise<ControllerPart> {
  const { createControllers } = await import('../controllers/index.ts');
  const manager = createControllers(options);
  const stop = new AbortController();
  const ended = manager.run(stop.signal);
  await Promise.race([manager.ready, ended]);
  return {
    ended,
    async close() {
      stop.abort();
      await ended;
    },
  };
}

export interface AgentPart {
  name: string;
  close(): Promise<void>;
}

export async function startAgentPart(options: {
  client: ApiClient;
  dataDir: string;
  logger: Logger;
  name?: string;
}): Promise<AgentPart> {
  const { startAgent } = await import('../runtime/agent/index.ts');
  return startAgent(options);
}
