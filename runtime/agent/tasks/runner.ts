/**
 * One task's ordered worker: observe, plan, act, again, until nothing local is left to do. Everything that happens to the task - a new
 * document, an end of a container, a timer - only updates what is observed and wakes the worker. Starts and removals of containers take their
 * time and go on beside it (`operate`); what they find out is another thing that happens.
 */
import type { Task } from '../../../crds/types.generated.ts';
import type { WriteOptions } from '../../checkpoint/file.ts';
import type { Termination } from '../../containerizers/containerizer.ts';
import { act } from './act.ts';
import { createChecks, type TaskChecks } from './checks.ts';
import { isDone } from './container-end.ts';
import type { Activity } from './container-status.ts';
import type { TaskContext } from './context.ts';
import { createDelivery, type Delivery, type Errand } from './delivery.ts';
import { viewDocument } from './document.ts';
import { groupFields } from './group-problems.ts';
import { createOperations, type Operations } from './operations.ts';
import { type ContainerView, type Observed, plan, type Readiness } from './plan.ts';
import { containerIdOf, type TaskRecord } from './record.ts';
import { isNewer } from './resource-version.ts';
import { needsShared, SHARED, type SharedParts } from './shared.ts';
import { taskProblems } from './validate.ts';

const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 30_000;
/** Each step of a transfer that is told is a write to the API server. */
const PROGRESS_MS = 2_000;

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
  /** Of each container's newest run. */
  readonly views = new Map<string, ContainerView>();
  /** What goes on beside the worker, by container name. */
  readonly operations: Operations;
  /** What is done for containers before they run. */
  activities: Record<string, Activity> = {};
  /** What this process made for the containers together; absent before that. */
  sharedParts: SharedParts | undefined;
  readonly checks: TaskChecks;
  private readonly shownMs = new Map<string, number>();
  private readonly owner: RunnerOwner;
  private readonly delivery: Delivery;
  private timer: NodeJS.Timeout | undefined;
  private readonly ends = new Map<string, PromiseWithResolvers<void>>();
  private retryMs = RETRY_MIN_MS;
  private working: Promise<void> | undefined;
  private dirty = false;
  private closed = false;

  constructor(uid: string, context: TaskContext, owner: RunnerOwner) {
    this.uid = uid;
    this.context = context;
    this.owner = owner;
    this.operations = createOperations(this);
    this.checks = createChecks(this);
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
  follow(name: string, containerId: string): void {
    this.views.set(name, { kind: 'Running' });
    this.context.containerizer.wait(containerId).then(
      (termination) => this.observeTermination(name, containerId, termination),
      (error: unknown) => {
        if (this.closed) return;
        this.context.logger.error(
          { err: error, containerID: containerId, task: this.name() },
          'waiting for a container failed',
        );
        setTimeout(() => !this.closed && this.follow(name, containerId), 1_000).unref();
      },
    );
  }

  /** Looks again, soon. Cheap: many calls are one look. */
  wake(): void {
    if (this.closed) return;
    this.dirty = true;
    this.working ??= this.work().finally(() => {
      this.working = undefined;
      if (this.dirty) this.wake();
    });
  }

  /** Ends the worker; what it was doing is finished first, but for transfers, which are cut. Containers go on. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    this.delivery.close();
    await Promise.all([this.operations.close(), this.checks.close()]);
    await this.working;
  }

  isClosed(): boolean {
    return this.closed;
  }

  /** Resolves when the worker has nothing to do. */
  async rest(): Promise<void> {
    while (this.working !== undefined) await this.working;
  }

  /** The first record, or another in its place; on disk when the promise resolves. */
  save(record: TaskRecord, options?: WriteOptions): Promise<void> {
    this.record = record;
    this.resolveEnds();
    return this.context.records.write(this.uid, record, options);
  }

  /** Moves the record in force: at once in memory, and on disk when the promise resolves. */
  change(step: (record: TaskRecord) => TaskRecord, options?: WriteOptions): Promise<void> {
    return this.save(step(this.requireRecord()), options);
  }

  /** Moves the record in memory only, where a crash costs less than a write. */
  changeInMemory(step: (record: TaskRecord) => TaskRecord): void {
    this.record = step(this.requireRecord());
    this.resolveEnds();
  }

  requireRecord(): TaskRecord {
    if (this.record === undefined)
      throw new Error(`no record of task ${this.name()}: the plan asked for a step that needs one`);
    return this.record;
  }

  /** What is being done for a container before it runs; undefined when that is over. Told at most every few seconds. */
  show(name: string, activity: Activity | undefined): void {
    const { [name]: shown, ...others } = this.activities;
    if (activity === undefined) {
      this.activities = others;
      this.shownMs.delete(name);
      return;
    }
    const now = this.context.now();
    if (shown?.state === activity.state && now < (this.shownMs.get(name) ?? 0) + PROGRESS_MS) return;
    this.activities = { ...others, [name]: activity };
    this.shownMs.set(name, now);
    this.wake();
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

  /** Resolves when nothing more will be written by this container, or by all containers of the task. */
  whenEnded(name = ''): Promise<void> {
    const end = this.ends.get(name) ?? Promise.withResolvers<void>();
    this.ends.set(name, end);
    this.resolveEnds();
    return end.promise;
  }

  forgotten(): void {
    this.closed = true;
    for (const end of this.ends.values()) end.resolve();
    clearTimeout(this.timer);
    this.delivery.close();
    void this.checks.close();
    this.owner.forgotten(this.uid);
  }

  name(): string {
    const known = this.document?.metadata ?? this.record;
    return `${known?.namespace}/${known?.name}`;
  }

  private observeTermination(name: string, containerId: string, termination: Termination): void {
    const { record } = this;
    const container = record?.containers.find((candidate) => candidate.name === name);
    // An end that comes late is of a run that is over.
    if (record === undefined || container === undefined || containerIdOf(record, container) !== containerId) return;
    this.views.set(name, { kind: 'Ended', termination });
    this.wake();
  }

  private resolveEnds(): void {
    const { record } = this;
    if (record === undefined) return;
    for (const [name, end] of this.ends) {
      const container = record.containers.find((candidate) => candidate.name === name);
      if (record.phase !== 'Live' || (container !== undefined && isDone(container))) end.resolve();
    }
  }

  private async work(): Promise<void> {
    // The first look is on the next turn: one burst of events is one look.
    await Promise.resolve();
    while (this.dirty && !this.closed) {
      this.dirty = false;
      try {
        let changed = false;
        for (const action of plan(this.observe(), this.context.now())) changed = (await act(this, action)) || changed;
        this.checks.sync();
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
    const { document, record, context, activities } = this;
    return {
      bootId: context.agent.bootId,
      document: document && viewDocument(document, { record, activities }, context.agent, context.now()),
      documentsKnown: this.owner.documentsKnown(),
      record,
      containers: Object.fromEntries(this.views),
      busy: this.operations.busy(),
      shared: this.sharedState(),
      readiness: document !== undefined && record === undefined ? this.readiness(document) : { kind: 'Ready' },
    };
  }

  private sharedState(): Observed['shared'] {
    if (this.operations.isBusy(SHARED)) return 'Busy';
    return this.sharedParts !== undefined || (this.record !== undefined && !needsShared(this.record))
      ? 'Ready'
      : 'Absent';
  }

  /** Whether the task could be started now. */
  readiness(task: Task): Readiness {
    const { containerizer, devices } = this.context;
    const problems = [
      ...taskProblems(task, this.context.policy()),
      ...(containerizer.prepareGroup === undefined ? groupFields(task) : []).map(
        (field) => `${field}: the ${containerizer.name} containerizer runs tasks of one container only`,
      ),
      ...containerizer.unsupported(task),
      ...devices.problems(task),
    ];
    if (problems.length > 0) return { kind: 'Invalid', message: problems.join('; ') };
    const volumes = this.context.volumes.readiness(task);
    return volumes.kind === 'Ready' ? devices.readiness(task) : volumes;
  }
}
