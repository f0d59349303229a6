/**
 * Brings a task's report to the API server, at least once: one write at a time per task, the newest state only, retried with backoff until
 * the server has acknowledged it. A slow or absent server never holds up the task's worker.
 */
import type { ObjectKey } from '../../../controllers/machinery/client/client.ts';
import { isConflict, isInvalid, isNotFound } from '../../../controllers/machinery/client/errors.ts';
import { Task } from '../../../controllers/machinery/client/resources.ts';
import { statusPatch, waitingPatch } from './document.ts';
import { TASK_FINALIZER } from './plan.ts';
import type { TaskRunner } from './runner.ts';

/** Staging, Starting and Killing are passing states: told only if they last longer than this, else the next state is told at once with them in its history. */
const PASSING_STATE_DELAY_MS = 500;
const RETRY_MIN_MS = 200;
const RETRY_MAX_MS = 5_000;

/** What is brought to the server. */
export type Errand = 'Report' | 'RemoveFinalizer' | { explain: string; reason: string };

export interface Delivery {
  request(errand: Errand): void;
  close(): void;
}

export function createDelivery(runner: TaskRunner): Delivery {
  let inFlight = false;
  let closed = false;
  let retryMs = RETRY_MIN_MS;
  let retryTimer: NodeJS.Timeout | undefined;
  let passing: { state: string; untilMs: number } | undefined;
  let delivered: string | undefined;

  const wakeLater = (delayMs: number): NodeJS.Timeout => setTimeout(() => runner.wake(), delayMs).unref();

  const holdOff = (): void => {
    retryTimer = setTimeout(() => {
      retryTimer = undefined;
      runner.wake();
    }, retryMs).unref();
    retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
  };

  const send = async (errand: Errand): Promise<void> => {
    inFlight = true;
    const sent = errand === 'Report' ? contentOf(runner) : undefined;
    try {
      await runner.context.deliverySlots.use(() => run(runner, errand));
      // The same report twice: somebody writes against us, or the server keeps less than it acknowledged. Never answer that in a tight loop.
      if (errand === 'Report' && sent === delivered) holdOff();
      else retryMs = RETRY_MIN_MS;
      delivered = sent;
    } catch (error) {
      if (closed) return;
      const { logger, metrics } = runner.context;
      metrics.deliveryFailed();
      logger.debug(
        { err: error, task: runner.name(), requeueAfterMs: retryMs },
        'a task report was not delivered; it is retried',
      );
      holdOff();
    } finally {
      inFlight = false;
    }
    runner.wake();
  };

  /** Whether the state may be over in a moment, so that telling it would cost a write for nothing. */
  const isPassing = (): boolean => {
    const state = runner.record?.report.state;
    const now = runner.context.now();
    if (state !== 'Staging' && state !== 'Starting' && state !== 'Killing') {
      passing = undefined;
      return false;
    }
    if (passing?.state !== state) {
      passing = { state, untilMs: now + PASSING_STATE_DELAY_MS };
      wakeLater(PASSING_STATE_DELAY_MS + 1);
    }
    return now < passing.untilMs;
  };

  return {
    request(errand) {
      if (inFlight || closed || retryTimer !== undefined) return;
      if (errand === 'Report' && isPassing()) return;
      void send(errand);
    },
    close() {
      closed = true;
      clearTimeout(retryTimer);
    },
  };
}

function run(runner: TaskRunner, errand: Errand): Promise<void> {
  if (errand === 'Report') return report(runner);
  return errand === 'RemoveFinalizer' ? removeFinalizer(runner) : explain(runner, errand.reason, errand.explain);
}

/** What a report would say, to tell the same from another. */
function contentOf({ document, record, activities, context }: TaskRunner): string | undefined {
  if (document === undefined || record === undefined) return undefined;
  return JSON.stringify(statusPatch(document, record, activities, context.agent, new Date(0)).status);
}

/** One attempt. A conflict is settled by reading the document again: the worker then decides anew. */
async function report(runner: TaskRunner): Promise<void> {
  const { document, record, context } = runner;
  if (document === undefined || record === undefined) return;
  const patch = statusPatch(document, record, runner.activities, context.agent, new Date(context.now()));
  await write(runner, document, (key) => context.client.mergePatch(Task, key, patch, 'status'));
}

async function explain(runner: TaskRunner, reason: string, message: string): Promise<void> {
  const { document, context } = runner;
  if (document === undefined) return;
  const patch = waitingPatch(document, reason, message);
  await write(runner, document, (key) => context.client.mergePatch(Task, key, patch, 'status'));
}

/** Removes only our own entry, and only if it is still where it was: another controller's finalizer is never touched. */
async function removeFinalizer(runner: TaskRunner): Promise<void> {
  const { document, context } = runner;
  const index = document?.metadata?.finalizers?.indexOf(TASK_FINALIZER) ?? -1;
  if (document === undefined || index < 0) return;
  const path = `/metadata/finalizers/${index}`;
  const patch = [
    { op: 'test' as const, path: '/metadata/uid', value: document.metadata?.uid },
    { op: 'test' as const, path, value: TASK_FINALIZER },
    { op: 'remove' as const, path },
  ];
  await write(runner, document, (key) => context.client.jsonPatch(Task, key, patch));
}

async function write(runner: TaskRunner, document: Task, send: (key: ObjectKey) => Promise<Task>): Promise<void> {
  const key = { namespace: document.metadata!.namespace!, name: document.metadata!.name! };
  try {
    const answer = await send(key);
    const { finalizers, deletionTimestamp, uid } = answer.metadata ?? {};
    if (uid === runner.uid && deletionTimestamp !== undefined && (finalizers ?? []).length === 0) runner.documentGone();
    else if (uid === runner.uid) runner.observeDocument(answer);
  } catch (error) {
    // 422 is the answer to a JSON patch whose `test` failed.
    const stale = isConflict(error) || isInvalid(error) || isNotFound(error);
    if (!stale) throw error;
    const current = await runner.context.client.get(Task, key);
    if (current === undefined || current.metadata?.uid !== runner.uid) runner.documentGone();
    else if (current.metadata?.resourceVersion === document.metadata?.resourceVersion) throw error;
    else runner.observeDocument(current);
  }
}
