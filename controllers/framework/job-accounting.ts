/**
 * Counts each end of a Job's task exactly once, also over crashes and although ended Tasks are removed in time. A Task carries a finalizer
 * until it is counted. One status write adds it to the counts and its uid to `countedTasks`; only then the finalizer is removed; the uid
 * goes once the finalizer is seen to be gone. A crash anywhere between repeats a step that does nothing a second time.
 */
import type { FrameworkStatus } from '../../crds/types.generated.ts';
import { formatIndexes, parseIndexes } from './index-set.ts';
import type { TaskView } from './task-view.ts';

export interface Accounts {
  succeeded: number;
  failed: number;
  /** Only for Indexed jobs. */
  completedIndexes: Set<number>;
  failedIndexes: Set<number>;
  /** uids that are counted and whose Task still has the finalizer. */
  countedTasks: string[];
  /** Counted just now. */
  newlyFailed: TaskView[];
  newlySucceeded: TaskView[];
  /** Tasks that can be let go of once this is written. */
  settled: TaskView[];
}

export type End = 'succeeded' | 'failed' | 'ignored';

/** The accounts with every ended task in them. Pure: the same input gives the same accounts, however often. */
export function settleAccounts(
  before: FrameworkStatus | undefined,
  tasks: readonly TaskView[],
  indexed: boolean,
): Accounts {
  const counted = new Set(before?.countedTasks ?? []);
  const completed = indexed ? parseIndexes(before?.completedIndexes) : new Set<number>();
  const failedIndexes = indexed ? parseIndexes(before?.failedIndexes) : new Set<number>();
  const accounts: Accounts = {
    succeeded: before?.succeeded ?? 0,
    failed: before?.failed ?? 0,
    completedIndexes: completed,
    failedIndexes,
    countedTasks: [],
    newlyFailed: [],
    newlySucceeded: [],
    settled: [],
  };
  for (const task of tasks) {
    if (!task.accounting) continue;
    const end = endOf(task);
    if (end === undefined) continue;
    accounts.settled.push(task);
    if (end === 'ignored') continue;
    accounts.countedTasks.push(task.uid);
    if (counted.has(task.uid)) continue;
    if (end === 'failed') {
      accounts.failed += 1;
      accounts.newlyFailed.push(task);
      if (indexed && !completed.has(task.index)) failedIndexes.add(task.index);
    } else {
      accounts.newlySucceeded.push(task);
      if (!indexed) accounts.succeeded += 1;
      completed.add(task.index);
      failedIndexes.delete(task.index);
    }
  }
  if (indexed) accounts.succeeded = completed.size;
  else completed.clear();
  accounts.countedTasks.sort();
  return accounts;
}

/** How a task ended for its Job; undefined while it has not. A task that was called off or never started says nothing about the work. */
export function endOf({ state, deleting, placed, terminal, task }: TaskView): End | undefined {
  if (!terminal) return deleting && !placed ? 'ignored' : undefined;
  switch (state) {
    case 'Finished':
      return 'succeeded';
    case 'Dropped':
      return 'ignored';
    case 'Killed':
      return deleting || task.status?.reason === 'AgentDraining' ? 'ignored' : 'failed';
    default:
      return deleting && state !== 'Failed' && state !== 'Error' ? 'ignored' : 'failed';
  }
}

/** The accounts as status fields. */
export function accountFields(accounts: Accounts, indexed: boolean): FrameworkStatus {
  const { succeeded, failed, countedTasks, completedIndexes, failedIndexes } = accounts;
  return {
    succeeded,
    failed,
    countedTasks,
    ...(indexed
      ? { completedIndexes: formatIndexes(completedIndexes), failedIndexes: formatIndexes(failedIndexes) }
      : {}),
  };
}
