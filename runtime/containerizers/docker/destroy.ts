/** Ending and removing a container, whatever state it is in. */

import { lostTermination } from '../native/termination.ts';
import { type DockerContext, engineName } from './context.ts';
import { EngineError, isAlreadySo, isNotFound } from './engine.ts';

/** Idempotent, tolerates unknown ids. Rejects while the engine cannot be reached: the caller tries again. */
export async function destroyContainer(context: DockerContext, containerId: string): Promise<void> {
  const container = context.containers.get(containerId);
  const name = engineName(containerId);
  // A frozen one cannot be killed.
  await context.engine.call('POST', `/containers/${name}/unpause`).catch((error: unknown) => {
    if (!(error instanceof EngineError)) throw error;
  });
  try {
    await context.engine.call('DELETE', `/containers/${name}?force=1&v=1`);
  } catch (error) {
    // 409: its removal is under way.
    if (!isNotFound(error) && !isAlreadySo(error)) throw error;
  }
  container?.logs?.stop();
  await container?.logs?.done.catch(() => {});
  context.records.remove(containerId);
  context.containers.delete(containerId);
  container?.termination.resolve(lostTermination(containerId));
}
