/** Which waiting tasks should be told (again) why they wait. */
import type { Cluster, Shape } from './cluster.ts';
import { explain } from './explain.ts';
import type { Action } from './plan.ts';
import { reasonNames } from './tasks.ts';

/** A task that finds a place this soon is not told that there was none. */
const FIRST_REPORT_AFTER_MS = 100;

/** An explanation of this age is good enough for one more task that waits for the same, should much be changing. */
const FRESH_MS = 200;

/**
 * Reports for tasks that were told nothing yet, and for those whose explanation changed. With many waiting tasks every change of an agent
 * would rewrite them all, so a rewrite waits: 1 s, plus 10 ms for each task that waits.
 */
export function planReports(cluster: Cluster, nowMs: number): { reports: Action[]; againAfterMs: number | undefined } {
  const reports: Action[] = [];
  let againAfterMs: number | undefined;
  const rewriteAfterMs = 1000 + 10 * waitingTasks(cluster);
  for (const shape of cluster.shapes.values()) {
    if (!shape.blocked) continue;
    const dueInMs = dueIn(cluster, shape, nowMs, rewriteAfterMs);
    if (dueInMs === undefined) continue;
    if (dueInMs > 0) againAfterMs = Math.min(againAfterMs ?? dueInMs, dueInMs);
    else reports.push(...reportShape(cluster, shape, nowMs, rewriteAfterMs));
  }
  return { reports, againAfterMs };
}

/** In how many milliseconds the shape's tasks need attention; undefined if not before something changes. */
function dueIn(cluster: Cluster, shape: Shape, nowMs: number, rewriteAfterMs: number): number | undefined {
  const outdated = shape.explainedAtChange !== cluster.changes;
  let due: number | undefined;
  for (const task of shape.waiting.values()) {
    task.unplacedSinceMs ??= nowMs;
    if (task.reported === undefined) due = Math.min(due ?? Infinity, task.unplacedSinceMs + FIRST_REPORT_AFTER_MS);
    else if (outdated || task.reported !== shape.explanation?.message) {
      due = Math.min(due ?? Infinity, Math.max(task.reportedAtMs, shape.explainedAtMs) + rewriteAfterMs);
    }
  }
  return due === undefined ? undefined : due - nowMs;
}

function reportShape(cluster: Cluster, shape: Shape, nowMs: number, rewriteAfterMs: number): Action[] {
  const fresh = shape.explainedAtChange === cluster.changes || shape.explainedAtMs + FRESH_MS > nowMs;
  if (shape.explanation === undefined || !fresh) {
    shape.explanation = explain(cluster, shape.demand);
    shape.explainedAtMs = nowMs;
    shape.explainedAtChange = cluster.changes;
  }
  const { explanation } = shape;
  const reports: Action[] = [];
  for (const task of shape.waiting.values()) {
    const first = task.reported === undefined;
    const due = first
      ? (task.unplacedSinceMs ?? nowMs) + FIRST_REPORT_AFTER_MS <= nowMs
      : task.reported !== explanation.message && task.reportedAtMs + rewriteAfterMs <= nowMs;
    if (!due) continue;
    task.reported = explanation.message;
    task.reportedAtMs = nowMs;
    const reasons = reasonNames(explanation.reasons);
    const isNews = first || reasons !== task.reportedReasons;
    task.reportedReasons = reasons;
    reports.push({ type: 'ReportUnplaced', key: task.key, uid: task.uid, explanation, isNews });
  }
  return reports;
}

function waitingTasks(cluster: Cluster): number {
  let count = 0;
  for (const shape of cluster.shapes.values()) count += shape.waiting.size;
  return count;
}
