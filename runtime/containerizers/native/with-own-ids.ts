/** Launching with the task's own user ids, and, where a file system turns out not to map them and the document does not insist, without. */

import type { ContainerSpec } from '../../isolators/isolator.ts';
import { IsolationRefused } from '../../isolators/isolator.ts';
import { LaunchFailed } from '../../launcher/errors.ts';
import type { NativeContext } from './context.ts';

export interface Attempted<T> {
  result: T;
  /** Why it was done without. */
  obstacle?: string;
}

/**
 * Calls `attempt` once or twice. Before the second time, `again` must have undone the first. Rejects for `userNamespace: Private` with a message that
 * names the field.
 */
export async function withOwnIds<T>(
  { logger }: Pick<NativeContext, 'logger'>,
  spec: ContainerSpec,
  attempt: (spec: ContainerSpec) => Promise<T>,
  again: () => Promise<void>,
): Promise<Attempted<T>> {
  try {
    return { result: await attempt(spec) };
  } catch (error) {
    if (!spec.userNamespace || !(error instanceof LaunchFailed) || !isAboutIds(error)) throw error;
    if (spec.container.security?.userNamespace === 'Private')
      throw new IsolationRefused(`security.userNamespace: Private cannot be done here: ${error.message}`);
    await again();
    const { userNamespace: _, ...withoutIds } = spec;
    const result = await attempt(withoutIds);
    logger.warn(
      { containerID: spec.containerId, reason: error.message },
      'a container was started with the user ids of the host',
    );
    return { result, obstacle: error.message };
  }
}

function isAboutIds({ step }: LaunchFailed): boolean {
  return step === 'idmap' || step === 'userNamespace';
}
