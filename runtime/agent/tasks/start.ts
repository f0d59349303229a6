/** Starts the next run of a container: everything from its inputs to its running command. Idempotent up to the launch itself. */
import { VolumeSourceMissing } from '../memory-volumes/projected-files.ts';
import { EnvironmentSourceMissing } from './env-sources.ts';
import { prepareLaunch, readLaunchInputs } from './launch.ts';
import { keepPreviousLogs } from './previous-logs.ts';
import type { ContainerRecord, TaskRecord } from './record.ts';
import type { TaskRunner } from './runner.ts';
import { memberSandbox } from './sandbox.ts';
import { documentContainer } from './start-order.ts';
import { intend, markLaunched, noteEnds, step } from './steps.ts';
import { UserUnknown } from './user.ts';

/**
 * At most once per run: the run is durable in the record before the containerizer is called. Rejects when it is worth a retry; what cannot
 * be started is noted as the run's end.
 */
export async function startContainer(
  runner: TaskRunner,
  name: string,
  signal: AbortSignal,
  transfer: AbortSignal,
): Promise<void> {
  const { context } = runner;
  const begun = context.now();
  const { run } = containerOf(runner.requireRecord(), name);
  if (containerOf(runner.requireRecord(), name).phase === 'Waiting') {
    await runner.change((record) => intend(record, name));
  }
  runner.views.set(name, { kind: 'None', neverStarted: true });
  try {
    await launch(runner, name, begun, signal, transfer);
  } catch (error) {
    if (runner.isClosed() && transfer.aborted && !signal.aborted) return;
    if (error instanceof Retry) throw error.cause;
    context.metrics.launchFailed();
    const failure = signal.aborted
      ? { reason: 'TaskKilledDuringLaunch', message: 'killed while it was being started' }
      : { reason: reasonOf(error), message: messageOf(error) };
    // Not synced: a run that provably never ran is tried again after a crash, and fails again.
    await runner.change(
      (record) =>
        noteEnds(record, [{ name, run, end: { failure, finishedAtMs: context.now() } }], context.agent.bootId),
      { durable: false },
    );
  }
}

async function launch(
  runner: TaskRunner,
  name: string,
  begun: number,
  signal: AbortSignal,
  _transfer: AbortSignal,
): Promise<void> {
  const { context } = runner;
  const record = runner.requireRecord();
  const container = containerOf(record, name);
  const { task } = record;
  const declared = documentContainer(task, container);
  if (task === undefined || declared === undefined) throw new Error('the document of its launch is not known any more');
  const inputs = await readLaunchInputs(context, task, declared).catch((error: unknown) => {
    // An API server that is away costs a retry and nothing else.
    const isFinal =
      error instanceof EnvironmentSourceMissing || error instanceof VolumeSourceMissing || error instanceof UserUnknown;
    throw isFinal ? error : new Retry(error);
  });
  await context.slots.use(async () => {
    signal.throwIfAborted();
    if (container.run > 0) await keepLogs(runner, name);
    const spec = await prepareLaunch(context, record, container, inputs, runner.sharedParts ?? {});
    if (runner.record?.report.state === 'Staging') {
      runner.changeInMemory((current) => step(current, { state: 'Starting' }, context.now()));
    }
    const launched = await context.containerizer.launch(spec, signal);
    context.metrics.launched(context.now() - begun);
    noteLaunched(runner, name, launched.startedAt, launched.pid);
    runner.follow(name, spec.containerId);
    context.logger.info(
      { task: runner.name(), containerID: spec.containerId, durationMs: context.now() - begun },
      'container started',
    );
  });
}

/** A log that cannot be kept is no reason not to start: the new run then writes behind the old one. */
async function keepLogs(runner: TaskRunner, name: string): Promise<void> {
  const { sandbox, isGroup } = runner.requireRecord();
  await keepPreviousLogs(isGroup ? memberSandbox(sandbox, name) : sandbox).catch((err: unknown) => {
    runner.context.logger.warn({ err, task: runner.name() }, 'the log of the run before could not be kept');
  });
}

/** The container of an interrupted launch turned out to run: it is as if its launch had just been answered. */
export function takeBack(runner: TaskRunner, name: string): void {
  const { startedAtMs, pid } = containerOf(runner.requireRecord(), name);
  noteLaunched(runner, name, new Date(startedAtMs ?? runner.context.now()), pid);
}

/**
 * Neither waited for nor synced: as long as the machine runs, recovery comes to the same record from the running container; and after a restart
 * of the machine it is the boot id that decides.
 */
function noteLaunched(runner: TaskRunner, name: string, startedAt: Date, pid: number | undefined): void {
  const facts = { startedAtMs: startedAt.getTime(), ...(pid !== undefined && { pid }) };
  runner
    .change((record) => markLaunched(record, name, facts, runner.context.now()), { durable: false })
    .catch((err: unknown) => {
      runner.context.logger.error({ err, task: runner.name() }, 'a task record could not be written');
    });
}

/** Something outside is away; nothing was done that a second try would do twice. */
class Retry extends Error {
  constructor(cause: unknown) {
    super('worth a retry', { cause });
    this.name = 'Retry';
  }
}

function containerOf(record: TaskRecord, name: string): ContainerRecord {
  const found = record.containers.find((container) => container.name === name);
  if (found === undefined)
    throw new Error(`the record of ${record.namespace}/${record.name} has no container "${name}"`);
  return found;
}

function reasonOf(_error: unknown): string {
  return 'ContainerLaunchFailed';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
