/** Which ended Tasks are kept. Pure. */
import type { Task } from '../../crds/types.generated.ts';

export interface HistoryPolicy {
  /** Ended with success. */
  finished: number;
  /** Ended otherwise. */
  failed: number;
  /** Both together; only for tasks without a Framework. */
  total?: number;
  /** Older ones are not kept at all. */
  ttlMs?: number;
}

export interface HistoryPlan {
  delete: Task[];
  /** When the next one becomes too old. */
  lookAgainAfterMs: number | undefined;
}

/** `ended` are the ended Tasks of one Framework, or the ones without any of one namespace; those being deleted are passed over. */
export function planHistory(ended: readonly Task[], policy: HistoryPolicy, nowMs: number): HistoryPlan {
  const newestFirst = ended
    .filter((task) => task.metadata.deletionTimestamp === undefined)
    .map((task) => ({ task, endedMs: endOf(task) }))
    .sort((a, b) => b.endedMs - a.endedMs || compare(a.task.metadata.name ?? '', b.task.metadata.name ?? ''));
  const kept = { finished: 0, failed: 0, total: 0 };
  const deleted: typeof newestFirst = [];
  let oldestKeptMs: number | undefined;
  for (const entry of newestFirst) {
    const kind = entry.task.status?.state === 'Finished' ? 'finished' : 'failed';
    const isTooOld = policy.ttlMs !== undefined && nowMs - entry.endedMs >= policy.ttlMs;
    if (isTooOld || kept[kind] >= policy[kind] || kept.total >= (policy.total ?? Number.POSITIVE_INFINITY)) {
      deleted.push(entry);
      continue;
    }
    kept[kind] += 1;
    kept.total += 1;
    oldestKeptMs = entry.endedMs;
  }
  const isTimed = policy.ttlMs !== undefined && oldestKeptMs !== undefined;
  return {
    delete: deleted.reverse().map(({ task }) => task),
    lookAgainAfterMs: isTimed ? Math.max(1, oldestKeptMs! + policy.ttlMs! - nowMs) : undefined,
  };
}

/** Without a time of its own, a task counts from its creation. */
function endOf(task: Task): number {
  const time = Date.parse(task.status?.finishTime ?? task.metadata.creationTimestamp ?? '');
  return Number.isNaN(time) ? 0 : time;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
