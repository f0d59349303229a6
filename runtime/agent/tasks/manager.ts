/** All tasks of the agent: one runner per Task uid, fed by the documents and by recovery. */
import { isDeepStrictEqual } from 'node:util';
import type { Task } from '../../../crds/types.generated.ts';
import { coarseUsage } from '../disk-limits/coarse-usage.ts';
import type { TaskContext } from './context.ts';
import { containerIdOf, type TaskRecord } from './record.ts';
import { type RunnerOwner, TaskRunner } from './runner.ts';

export interface TaskManager {
  /** Adds a task of an earlier agent process; `start` has to be called when all are there. */
  adopt(record: TaskRecord): TaskRunner;
  /** A Task document that is bound to this agent, new or changed. */
  documentChanged(task: Task): void;
  documentDeleted(task: Task): void;
  /** The first complete list was seen: tasks without a document are gone for good. */
  documentsComplete(): void;
  /** Something tasks may have been waiting for (a volume) changed. */
  wakeAll(): void;
  /** The disk usage of a container was measured. */
  diskUsageChanged(containerId: string): void;
  runners(): Iterable<TaskRunner>;
  find(namespace: string, name: string): TaskRunner | undefined;
  /** Tasks by state, for metrics. */
  counts(): Record<string, number>;
  close(): Promise<void>;
}

export function createTaskManager(context: TaskContext): TaskManager {
  const runners = new Map<string, TaskRunner>();
  /** What the watch shows now. */
  const listed = new Set<string>();
  /**
   * Tasks that are finished and forgotten while the watch still shows them: it may deliver older versions of them yet, and one that says "not
   * started" would start the task a second time. Entries go with the deletion event, which comes after all others.
   */
  const forgotten = new Set<string>();
  let complete = false;
  const owner: RunnerOwner = {
    documentsKnown: () => complete,
    forgotten(uid) {
      runners.delete(uid);
      if (listed.has(uid)) forgotten.add(uid);
    },
  };
  const runnerOf = (uid: string): TaskRunner => {
    const existing = runners.get(uid);
    if (existing !== undefined) return existing;
    const runner = new TaskRunner(uid, context, owner);
    runners.set(uid, runner);
    return runner;
  };

  return {
    adopt(record) {
      const runner = runnerOf(record.uid);
      runner.record = record;
      return runner;
    },
    documentChanged(task) {
      const uid = task.metadata.uid;
      if (uid === undefined || forgotten.has(uid)) return;
      listed.add(uid);
      runnerOf(uid).observeDocument(task);
    },
    documentDeleted(task) {
      const uid = task.metadata.uid;
      if (uid === undefined) return;
      listed.delete(uid);
      if (forgotten.delete(uid)) return;
      const runner = runners.get(uid);
      if (runner === undefined) return;
      runner.documentGone();
      if (runner.record === undefined) dropUnstarted(runners, runner, uid);
    },
    documentsComplete() {
      complete = true;
      for (const runner of runners.values()) runner.wake();
    },
    wakeAll() {
      for (const runner of runners.values()) if (runner.record === undefined) runner.wake();
    },
    diskUsageChanged(containerId) {
      const [groupId] = containerId.split('.');
      for (const runner of runners.values()) if (runner.record?.groupId === groupId) noteDiskUsage(runner);
    },
    runners: () => runners.values(),
    find(namespace, name) {
      const found = [...runners.values()].filter((runner) => {
        const known = runner.document?.metadata ?? runner.record;
        return known?.namespace === namespace && known.name === name;
      });
      // Of two tasks with the same name (one being removed) the one with a document is meant.
      return found.find((runner) => runner.document !== undefined) ?? found[0];
    },
    counts() {
      const counts: Record<string, number> = {};
      for (const { record } of runners.values()) {
        const state = record?.report.state ?? 'Staging';
        counts[state] = (counts[state] ?? 0) + 1;
      }
      return counts;
    },
    async close() {
      await Promise.all([...runners.values()].map((runner) => runner.close()));
    },
  };
}

/** A task that never got a record leaves nothing behind: its runner can go as soon as it rests. */
function dropUnstarted(runners: Map<string, TaskRunner>, runner: TaskRunner, uid: string): void {
  void runner.rest().then(() => {
    if (runner.record === undefined && runner.document === undefined) runners.delete(uid);
  });
}

/** In the report only when a coarse step was taken. In memory: it is measured again. */
function noteDiskUsage(runner: TaskRunner): void {
  const record = runner.requireRecord();
  const usages = record.containers.map((container) =>
    runner.context.diskLimits.usage(containerIdOf(record, container)),
  );
  const disk = coarseUsage(usages.filter((usage) => usage !== undefined));
  if (record.phase !== 'Live' || disk === undefined || isDeepStrictEqual(disk, record.report.disk)) return;
  runner.changeInMemory((current) => ({ ...current, report: { ...current.report, disk } }));
  runner.wake();
}
