import { createHash } from 'node:crypto';
import type { ApiClient } from '../controllers/machinery/client/client.ts';
import { isAlreadyExists } from '../controllers/machinery/client/errors.ts';
import { CustomResourceDefinition } from '../controllers/machinery/client/resources.ts';
import { type CrdDocument, loadCrds } from '../crds/load.ts';

/** Says which text of the definition is installed, so that a start with the same one writes nothing. */
const HASH = 'tepui.dev/definition-hash';

/**
 * Creates the five CustomResourceDefinitions, or brings them up to this version. Only the embedded server does this:
 * on a cluster they are installed with the other manifests.
 */
export async function installCrds(client: ApiClient): Promise<void> {
  const installed = new Map(
    (await client.list(CustomResourceDefinition)).items.map((crd) => [crd.metadata?.name, crd]),
  );
  for (const crd of loadCrds()) {
    const existing = installed.get(crd.metadata.name);
    const annotations = { ...(crd.metadata.annotations as Record<string, string> | undefined), [HASH]: hashOf(crd) };
    const metadata = { ...crd.metadata, annotations };
    if (!existing) await client.create(CustomResourceDefinition, { ...crd, metadata } as never).catch(ignoreExisting);
    else if (existing.metadata?.annotations?.[HASH] !== annotations[HASH])
      await client.mergePatch(
        CustomResourceDefinition,
        { name: crd.metadata.name },
        { metadata: { annotations }, spec: crd.spec },
      );
  }
}

function hashOf(crd: CrdDocument): string {
  return createHash('sha256').update(JSON.stringify(crd.spec)).digest('hex').slice(0, 16);
}

function ignoreExisting(error: unknown): void {
  if (!isAlreadyExists(error)) throw error;
}
