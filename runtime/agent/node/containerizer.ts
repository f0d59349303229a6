/** The containerizer that an agent uses when it is given none. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { AgentIsolation } from '../../../crds/types.generated.ts';
import type { Containerizer } from '../../containerizers/containerizer.ts';
import { createNativeContainerizer } from '../../containerizers/native/containerizer.ts';
import { connectLauncher } from '../../launcher/client.ts';
import type { AgentPaths } from './paths.ts';

/** Rejects with one clear sentence when this host cannot isolate containers. */
export function openContainerizer(
  paths: AgentPaths,
  logger: Logger,
  isolation: () => AgentIsolation | undefined = () => undefined,
): Promise<Containerizer> {
  const { dataDir, runtimeDir, instance } = paths;
  return createNativeContainerizer({
    dataDir,
    runtimeDir,
    cgroupRoot: join('tepui', instance),
    logger,
    options: { isolation },
  });
}

/** Ends the resident launcher when no container is left; without this it would end by itself some seconds later. */
export async function endLauncher({ runtimeDir }: AgentPaths): Promise<void> {
  const launcher = await connectLauncher({ runtimeDir });
  await launcher.shutdownIfIdle();
  launcher.close();
}
