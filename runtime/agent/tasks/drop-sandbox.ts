/** Removes a sandbox with the limits and files that belong to it. Idempotent. */
import type { TaskContext } from './context.ts';
import { removeSandbox, type SandboxKey, sandboxPath } from './sandbox.ts';

export async function dropSandbox(
  { sandboxRoot, diskLimits }: Pick<TaskContext, 'sandboxRoot' | 'diskLimits'>,
  key: SandboxKey,
): Promise<void> {
  const path = sandboxPath(sandboxRoot, key);
  await diskLimits.releasing(path);
  await removeSandbox(sandboxRoot, key);
  await diskLimits.released(path);
}
