/** The agent's half of Task.status as data, and how it moves from state to state. Pure. */
import { isTerminal } from '../../../crds/task-states.ts';
import type { TaskState } from '../../../crds/types.generated.ts';
import type { ShownDiskUsage } from '../disk-limits/coarse-usage.ts';

export { isTerminal, type TaskState };

/** Transitions kept in a status. */
export const HISTORY_LIMIT = 20;

export interface HistoryEntry {
  state: TaskState;
  reason?: string;
  source?: 'Controller' | 'Agent' | 'Executor';
  message?: string;
  time: string;
}

export interface Limitation {
  resource: string;
  limit?: string;
  used?: string;
}

/** What the agent says of a task. Absent fields are absent in the document too. */
export interface TaskReport {
  state: TaskState;
  reason?: string;
  source: 'Controller' | 'Agent' | 'Executor';
  message?: string;
  exitCode?: number;
  signal?: number;
  containerId?: string;
  startTime?: string;
  finishTime?: string;
  pid?: number;
  limitation?: Limitation;
  sandboxPath?: string;
  /** Of the sandboxes that have a limit. */
  disk?: ShownDiskUsage;
  history: HistoryEntry[];
}

/** One step of a task: the new state with its reason, and the facts that came with it. */
export interface Transition extends Partial<Omit<TaskReport, 'history' | 'state' | 'source'>> {
  state: TaskState;
  /** Default: Agent. */
  source?: TaskReport['source'];
}

/** The report after the step. A terminal report never changes; an equal step in a row replaces the last history entry. */
export function advance(report: TaskReport, step: Transition, nowMs: number): TaskReport {
  if (isTerminal(report.state)) return report;
  const { state, reason, message, source = 'Agent', ...facts } = step;
  const entry: HistoryEntry = { state, ...defined({ reason, message }), source, time: new Date(nowMs).toISOString() };
  const { reason: _reason, message: _message, ...rest } = report;
  return {
    ...rest,
    ...defined(facts),
    state,
    source,
    ...defined({ reason, message }),
    history: appendEntry(report.history, entry),
  };
}

/** Both histories in order of time, each entry once, equal ones in a row as one, newest kept: the document's (where controllers write too) and ours. */
export function mergeHistories(theirs: HistoryEntry[], ours: HistoryEntry[]): HistoryEntry[] {
  const merged = new Map<string, HistoryEntry>();
  for (const entry of [...theirs, ...ours]) {
    const key = [Date.parse(entry.time), entry.state, entry.reason ?? '', entry.source ?? ''].join('|');
    merged.set(key, entry);
  }
  return [...merged.values()]
    .map((entry, order) => ({ entry, order, time: Date.parse(entry.time) }))
    .sort((a, b) => a.time - b.time || a.order - b.order)
    .map(({ entry }) => entry)
    .filter((entry, index, all) => !isRepeated(entry, all[index + 1]))
    .slice(-HISTORY_LIMIT);
}

/** Of equal states in a row the last one stands. */
function isRepeated(entry: HistoryEntry, next: HistoryEntry | undefined): boolean {
  return entry.state === next?.state && entry.reason === next.reason && entry.source === next.source;
}

function appendEntry(history: HistoryEntry[], entry: HistoryEntry): HistoryEntry[] {
  const last = history.at(-1);
  const repeats = last !== undefined && last.state === entry.state && last.reason === entry.reason;
  return [...(repeats ? history.slice(0, -1) : history), entry].slice(-HISTORY_LIMIT);
}

function defined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}
