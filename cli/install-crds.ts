import type { ApiClient } from '../controllers/machinery/client/client.ts';
import { isAlreadyExists } from '../controllers/machinery/client/errors.ts';
import { CustomResourceDefinition } from '../controllers/machinery/client/resources.ts';
import { loadCustomResourceDefinitions } from '../crds/load.ts';

/**
 * Creates the five CustomResourceDefinitions, or brings them up to this version. Only the embedded server does this:
 * on a cluster they are installed with the other manifests.
 */
export async function installCrds(client: ApiClient): Promise<void> {
  for (const crd of await loadCustomResourceDefinitions()) {
    const key = { name: crd.metadata?.name as string };
    const existing = await client.get(CustomResourceDefinition, key);
    if (!existing) await client.create(CustomResourceDefinition, crd as never).catch(ignoreExisting);
    else await client.mergePatch(CustomResourceDefinition, key, { spec: (crd as { spec?: unknown }).spec });
  }
}

function ignoreExisting(error: unknown): void {
  if (!isAlreadyExists(error)) throw error;
}
