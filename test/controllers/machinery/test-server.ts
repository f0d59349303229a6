import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { type ApiServer, startApiServer } from '../../../apiserver/server.ts';
import { createApiClient } from '../../../controllers/machinery/client/api-client.ts';
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { isAlreadyExists } from '../../../controllers/machinery/client/errors.ts';
import { loadClusterConfig } from '../../../controllers/machinery/client/kubeconfig.ts';
import { CustomResourceDefinition } from '../../../controllers/machinery/client/resources.ts';
import { loadCrds } from '../../../crds/load.ts';
import { eventually } from './eventually.ts';

export interface TestServer {
  client: ApiClient;
  kubeconfigPath: string;
  url: string;
  /** Ends the server and starts it again on the same data and port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A real embedded API server on a directory of its own, with Tepui's kinds installed. */
export async function startTestServer(): Promise<TestServer> {
  const dataDir = mkdtempSync(join(tmpdir(), 'tepui-controllers-'));
  const logger = pino({ level: 'silent' });
  let server: ApiServer = await startApiServer({ dataDir, logger, shutdownGraceMs: 200 });
  const { kubeconfigPath, port, url } = server;
  const client = createApiClient(await loadClusterConfig({ kubeconfig: kubeconfigPath }), { userAgent: 'tepui-test' });
  await installCrds(client);
  return {
    client,
    kubeconfigPath,
    url,
    async restart() {
      await server.close();
      server = await startApiServer({ dataDir, logger, port, shutdownGraceMs: 200 });
    },
    async stop() {
      await client.close();
      await server.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Creates Tepui's kinds and waits until they are served. */
export async function installCrds(client: ApiClient): Promise<void> {
  for (const crd of loadCrds()) {
    try {
      await client.create(CustomResourceDefinition, structuredClone(crd) as never);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }
  for (const { metadata, spec } of loadCrds()) {
    await eventually(async () => {
      const crd = await client.get(CustomResourceDefinition, { name: metadata.name });
      if (!crd?.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True'))
        throw new Error(`${metadata.name} is not established`);
      const { status } = await client.raw(
        'GET',
        `/apis/${spec.group}/${spec.versions[0]!.name}/${spec.names.plural}?limit=1`,
      );
      if (status !== 200) throw new Error(`${metadata.name} is not served`);
    });
  }
}
