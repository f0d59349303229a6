/** Starts a genuine Kubernetes API server for a test, where its tool and its built binaries are there. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sharedTool } from '../setup/shared-tools.ts';

const run = promisify(execFile);

export interface RealApiServer {
  url: string;
  kubeconfig: string;
  request(
    method: string,
    path: string,
    body?: unknown,
    contentType?: string,
  ): Promise<{ status: number; body: Record<string, unknown> }>;
  stop(): Promise<void>;
}

const tool = sharedTool('real-apiserver.sh');
const built = process.env.K8S_SCRATCH ?? '/tmp/k8s';

/** Why there is none here, or undefined. It is not built by a test: that takes minutes. */
export function whyNoRealApiServer(flavour: 'crd' | 'full'): string | undefined {
  if (!tool) return 'real-apiserver.sh is not there; set TEPUI_SHARED';
  if (!existsSync(join(built, `bin.${flavour}`, '.stamp'))) return `it is not built; run ${tool} build ${flavour}`;
  return undefined;
}

/** A server of its own with an empty store, beside any other that runs. */
export async function startRealApiServer(flavour: 'crd' | 'full', flags = ''): Promise<RealApiServer> {
  const scratch = await mkdtemp(join(tmpdir(), 'tepui-real-apiserver-'));
  await cp(join(built, `bin.${flavour}`), join(scratch, `bin.${flavour}`), {
    recursive: true,
    preserveTimestamps: true,
  });
  const env = { ...process.env, K8S_SCRATCH: scratch, K8S_APISERVER_FLAGS: flags };
  const port = await freePort();
  await run(tool!, ['start', String(port), flavour], { env });
  // The certificate is self-signed and the server is our own child on loopback.
  const { Agent, fetch } = await import('undici');
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  const url = `https://127.0.0.1:${port}`;
  return {
    url,
    kubeconfig: join(scratch, flavour === 'full' ? 'kubeconfig.full' : 'kubeconfig'),
    async request(method, path, body, contentType = 'application/json') {
      const headers = { authorization: 'Bearer admin', 'content-type': contentType, accept: 'application/json' };
      const response = await fetch(url + path, {
        method,
        headers,
        dispatcher,
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    async stop() {
      await dispatcher.destroy();
      await run(tool!, ['stop', flavour], { env });
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

/** Below the ports of outgoing connections, and with room: the tool takes the two ports above for its store. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + 4 * Math.floor(Math.random() * 3000);
    const taken = await Promise.all([port, port + 1, port + 2].map(isTaken));
    if (!taken.includes(true)) return port;
  }
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(true));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(false)));
  });
}
