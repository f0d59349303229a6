/** The API client of an agent: the caller's, or one of its own from a kubeconfig. */
import { createApiClient } from '../../../controllers/machinery/client/api-client.ts';
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { loadClusterConfig } from '../../../controllers/machinery/client/kubeconfig.ts';

export interface Connection {
  client: ApiClient;
  /** Closes the client only if it was made here. */
  close(): Promise<void>;
}

/** Throws KubeconfigError. Nothing is sent yet. */
export async function connect(options: { client?: ApiClient; kubeconfig?: string }): Promise<Connection> {
  if (options.client !== undefined) return { client: options.client, close: async () => {} };
  const config = await loadClusterConfig(options.kubeconfig === undefined ? {} : { kubeconfig: options.kubeconfig });
  // Status writes of many tasks go side by side; more sockets than that would only queue in the server.
  const client = createApiClient(config, { userAgent: 'tepui-agent', requestTimeoutMs: 15_000, connections: 16 });
  return { client, close: () => client.close() };
}
