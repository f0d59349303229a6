/** One agent per data directory: two would run every task twice. */
import { createServer, type Server } from 'node:net';

/** Another process is the agent of this data directory. */
export class AgentAlreadyRunning extends Error {
  constructor(dataDir: string) {
    super(`another agent is running on ${dataDir}: stop it first, or use another --data-dir`);
    this.name = 'AgentAlreadyRunning';
  }
}

export interface InstanceLock {
  release(): Promise<void>;
}

/**
 * Takes the lock or rejects with AgentAlreadyRunning. It is a listening socket in the abstract namespace, which the kernel frees with the
 * process, however that ends: unlike a lock file it can be neither stale nor stolen.
 */
export async function lockInstance(instance: string, dataDir: string): Promise<InstanceLock> {
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? new AgentAlreadyRunning(dataDir) : error),
    );
    server.listen({ path: `\0tepui-agent-${instance}` }, resolve);
  });
  server.unref();
  return { release: () => closeServer(server) };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
