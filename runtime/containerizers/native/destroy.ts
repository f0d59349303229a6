/** Ending and removing a container, whatever state it is in. */
import { setTimeout as delay } from 'node:timers/promises';
import type { NativeContext } from './context.ts';

const SIGKILL = 9;
/** A killed process ends at once unless the kernel holds it (uninterruptible I/O): then the caller tries again later. */
const killDeadlineMs = 10_000;

/** Idempotent, tolerates unknown ids, and is shared by concurrent callers. */
export function destroyContainer(context: NativeContext, containerId: string): Promise<void> {
  const container = context.containers.get(containerId);
  if (!container) return removeContainer(context, containerId);
  container.destroying ??= removeContainer(context, containerId).finally(() => {
    container.destroying = undefined;
  });
  return container.destroying;
}

/** Kills, waits, and removes what isolators made in reverse order, then the records: they are what a later agent would go by. */
export async function removeContainer(context: NativeContext, containerId: string): Promise<void> {
  const { containers, isolators, records, limitationWatch } = context;
  limitationWatch.delete(containerId);
  await killContainer(context, containerId);
  const failures: unknown[] = [];
  await context.delegate?.remove(containerId).catch((error: unknown) => failures.push(error));
  for (const isolator of isolators.toReversed()) {
    try {
      await isolator.cleanup?.(containerId);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0)
    throw new AggregateError(failures, `container ${containerId} could not be removed: ${failures.join('; ')}`);
  await records.remove(containerId);
  containers.delete(containerId);
}

async function killContainer(
  { containers, launcher, cgroups, delegate }: NativeContext,
  containerId: string,
): Promise<void> {
  const container = containers.get(containerId);
  // What never got as far as a supervisor, or lost it, is killed through its cgroup when that is removed.
  if (!container?.launched || container.ended) return;
  // With a delegate the supervised process is the runtime, and ends with its container.
  if (delegate) cgroups.kill(containerId);
  else await launcher.signal(containerId, SIGKILL);
  const timeout = new AbortController();
  const late = delay(killDeadlineMs, 'late', { signal: timeout.signal }).catch(() => 'ended');
  const outcome = await Promise.race([container.termination.promise, late]);
  timeout.abort();
  if (outcome === 'late')
    throw new Error(`container ${containerId} did not end within ${killDeadlineMs / 1000} s of SIGKILL`);
}
