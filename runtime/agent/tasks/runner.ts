/**
 * One task's ordered worker: observe, plan, act, again, until nothing local is left to do. Everything that happens to the task - a new
 * document, an end of the container, a timer - only updates what is observed and wakes the worker.
 */
import type { Task } from '../../../crds/types.generated.ts';
import type { WriteOptions } from '../../checkpoint/file.ts';
import type { Termination } from '../../containerizers/containerizer.ts';
import { act } from './act.ts';
import type { TaskContext } from './context.ts';
import { createDelivery, type Delivery, type Errand } from './delivery.ts';
import { viewDocument } from './document.ts';
import { type ContainerView, type Observed, plan, type Readiness } from './plan.ts';
import type { TaskRecord } from './record.ts';
import { isNewer } from './resource-version.ts';
import { isTerminal } from './status.ts';
import { taskProblems } from './validate.ts';

const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 30_000;

export interface RunnerOwner {
  /** Whether the list of documents is complete. */
  documentsKnown(): boolean;
  /** The task is settled and gone: drop the runner. */
  forgotten(uid: string): void;
}

export class TaskRunner {
  readonly uid: string;
  readonly context: TaskContext;
  document: Task | undefined;
  record: TaskRecord | undefined;
  container: ContainerView = { kind: 'None', neverStarted: false };
  /** Present while a launch is under way: aborted when the task is to be killed. */
  launching: AbortController | undefined;
  private readonly owner: RunnerOwner;
  private readonly delivery: Delivery;
  private timer: NodeJS.Timeout | undefined;
  private readonly end = Promise.withResolvers<void>();
  private retryMs = RETRY_MIN_MS;
  private working: Promise<void> | undefined;
  private dirty = false;
  private closed = false;

  constructor(uid: string, context: TaskContext, owner: RunnerOwner) {
    this.uid = uid;
    this.context = context;
    this.owner = owner;
    this.delivery = createDelivery(this);
  }

  /** A version of the document, from the watch or as the answer to a write. Older ones than the known are ignored. */
  observeDocument(task: Task): void {
    if (
      this.document !== undefined &&
      !isNewer(task.metadata?.resourceVersion, this.document.metadata?.resourceVersion)
    )
      return;
    this.document = task;
    this.wake();
  }

  documentGone(): void {
    if (this.document === undefined) return;
    this.document = undefined;
    this.wake();
  }

  /** Follows a container that runs: its end wakes the worker. */
  follow(containerId: string): void {
    this.container = { kind: 'Running' };
    this.context.containerizer.wait(containerId).then(
      (termination) => this.observeTermination(termination),
      (error: unknown) => {
        if (this.closed) return;
        this.context.logger.error(
          { err: error, containerID: containerId, task: this.name() },
          'waiting for a container failed',
        );
        setTimeout(() => !this.closed && this.follow(containerId), 1_000).unref();
      },
    );
  }

  observeTermination(termination: Termination): void {
    this.container = { kind: 'Ended', termination };
    this.wake();
  }

  /** Looks again, soon. Cheap: many calls are one look. */
  wake(): void {
    if (this.closed) return;
    this.dirty = true;
    if (this.launching !== undefined && this.killWanted()) this.launching.abort();
    this.working ??= this.work().finally(() => {
      this.working = undefined;
      if (this.dirty) this.wake();
    });
  }

  /** Ends the worker; what it was doing is finished first. Containers go on. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    this.delivery.close();
    await this.working;
  }

  /** Resolves when the worker has nothing to do. */
  async rest(): Promise<void> {
    while (this.working !== undefined) await this.working;
  }

  /** The record in force from now on, and on disk when the promise resolves. */
  save(record: TaskRecord, options?: WriteOptions): Promise<void> {
    this.record = record;
    if (record.phase === 'Ended' || record.phase === 'Cleaned') this.end.resolve();
    return this.context.records.write(this.uid, record, options);
  }

  /** Hands the record's report, or the removal of the finalizer, to the API server; retried until it is acknowledged. */
  deliver(errand: Errand): void {
    this.delivery.request(errand);
  }

  wakeAt(timeMs: number): void {
    clearTimeout(this.timer);
    // Node's timers hold 31 bits; a later look is harmless.
    const delay = Math.min(Math.max(0, timeMs - this.context.now()), 2 ** 31 - 1);
    this.timer = setTimeout(() => this.wake(), delay);
    this.timer.unref();
  }

  /** Resolves when nothing more will be written into the sandbox. */
  whenEnded(): Promise<void> {
    const phase = this.record?.phase;
    return phase === 'Ended' || phase === 'Cleaned' ? Promise.resolve() : this.end.promise;
  }

  forgotten(): void {
    this.closed = true;
    this.end.resolve();
    clearTimeout(this.timer);
    this.delivery.close();
    this.owner.forgotten(this.uid);
  }

  name(): string {
    const known = this.document?.metadata ?? this.record;
    return `${known?.namespace}/${known?.name}`;
  }

  killWanted(): boolean {
    if (this.document === undefined) return this.owner.documentsKnown();
    const { deleting, killWanted, state } = viewDocument(this.document, undefined);
    return deleting || killWanted || isTerminal(state);
  }

  private async work(): Promise<void> {
    // The first look is on the next turn: one burst of events is one look.
    await Promise.resolve();
    while (this.dirty && !this.closed) {
      this.dirty = false;
      try {
        let changed = false;
        for (const action of plan(this.observe(), this.context.now())) changed = (await act(this, action)) || changed;
        if (changed) this.dirty = true;
        this.retryMs = RETRY_MIN_MS;
      } catch (error) {
        this.context.logger.warn(
          { err: error, task: this.name(), requeueAfterMs: this.retryMs },
          'a step of a task failed; it is retried',
        );
        this.wakeAt(this.context.now() + this.retryMs);
        this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
      }
    }
  }

  private observe(): Observed {
    const { document, record, context } = this;
    return {
      bootId: context.agent.bootId,
      document: document && viewDocument(document, record),
      documentsKnown: this.owner.documentsKnown(),
      record,
      container: this.container,
      readiness: document !== undefined && record === undefined ? this.readiness(document) : { kind: 'Ready' },
    };
  }

  private readiness(task: Task): Readiness {
    const problems = [...taskProblems(task, this.context.policy()), ...this.context.containerizer.unsupported(task)];
    if (problems.length > 0) return { kind: 'Invalid', message: problems.join('; ') };
    return this.context.volumes.readiness(task);
  }
}
