/** Starts the next run of a container: everything from its inputs to its running command. Idempotent up to the launch itself. */
import type { LaunchSpec } from '../../containerizers/containerizer.ts';
import type { ProvisionedImage, ProvisionRequest, RegistryCredentials } from '../../images/index.ts';
import { describeImage, isFinalInputError } from './image.ts';
import { prepareLaunch, readLaunchInputs } from './launch.ts';
import { signalNumber } from './outcome.ts';
import { keepPreviousLogs } from './previous-logs.ts';
import { type ContainerRecord, containerIdOf, type TaskRecord } from './record.ts';
import type { TaskRunner } from './runner.ts';
import { memberSandbox } from './sandbox.ts';
import { documentContainer } from './start-order.ts';
import { intend, type LaunchedFacts, markLaunched, noteEnds, step } from './steps.ts';

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
  const { run } = containerOf(runner.requireRecord(), name);
  if (containerOf(runner.requireRecord(), name).phase === 'Waiting') {
    await runner.change((record) => intend(record, name));
  }
  runner.views.set(name, { kind: 'None', neverStarted: true });
  try {
    await launch({ runner, name, begunMs: context.now(), signal, transfer });
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
  } finally {
    runner.show(name, undefined);
  }
}

interface Launch {
  runner: TaskRunner;
  name: string;
  begunMs: number;
  signal: AbortSignal;
  transfer: AbortSignal;
}

async function launch(launch: Launch): Promise<void> {
  const { runner, name, signal } = launch;
  const { context } = runner;
  const record = runner.requireRecord();
  const container = containerOf(record, name);
  const { task } = record;
  const declared = documentContainer(task, container);
  if (task === undefined || declared === undefined) throw new Error('the document of its launch is not known any more');
  const inputs = await readLaunchInputs(context, task, declared).catch((error: unknown) => {
    // An API server that is away costs a retry and nothing else.
    throw isFinalInputError(error) ? error : new Retry(error);
  });
  const pull = (source: ImageSource): Promise<ProvisionedImage> => pullImage(launch, source, inputs.credentials);
  const { image: reference, imagePullPolicy: pullPolicy } = declared;
  const ownStore = context.containerizer.pullsImages?.(task) ?? false;
  const image =
    reference === undefined || ownStore ? undefined : await pull({ reference, ...(pullPolicy && { pullPolicy }) });
  const prepare = async (): Promise<LaunchSpec> => {
    signal.throwIfAborted();
    if (container.run > 0) await keepLogs(runner, name);
    return prepareLaunch(context, record, container, {
      inputs,
      ...(image && { image }),
      ownStore,
      volumeImage: async (source) => (await pull(source)).layers,
      shared: runner.sharedParts ?? {},
    });
  };
  // A run before has fetched them into the same sandbox.
  if (container.wasStarted || (declared.uris?.length ?? 0) === 0) {
    await context.slots.use(async () => runContainer(launch, await prepare(), image));
    return;
  }
  const spec = await context.slots.use(prepare);
  await fetchFiles(launch, spec);
  await context.slots.use(() => runContainer(launch, spec, image));
}

async function runContainer(
  { runner, name, begunMs, signal }: Launch,
  spec: LaunchSpec,
  image: ProvisionedImage | undefined,
): Promise<void> {
  const { context } = runner;
  signal.throwIfAborted();
  runner.show(name, undefined);
  if (runner.record?.report.state === 'Staging') {
    runner.changeInMemory((current) => step(current, { state: 'Starting' }, context.now()));
  }
  const launched = await context.containerizer.launch(spec, signal);
  context.metrics.launched(context.now() - begunMs);
  const stopSignal = signalNumber(spec.container.stopSignal ?? image?.config.stopSignal ?? '');
  const { networkInfos, userNamespace } = launched;
  if (networkInfos !== undefined) runner.changeInMemory((current) => ({ ...current, networkInfos }));
  noteLaunched(runner, name, launched.startedAt, {
    pid: launched.pid,
    ...(image && { image: describeImage(image) }),
    ...(stopSignal !== undefined && { stopSignal }),
    ...(userNamespace && { userNamespace }),
  });
  runner.follow(name, spec.containerId);
  context.logger.info(
    { task: runner.name(), containerID: spec.containerId, durationMs: context.now() - begunMs },
    'container started',
  );
}

type ImageSource = Pick<ProvisionRequest, 'reference' | 'pullPolicy'>;

/** Pinned for the container's run until that is removed. */
function pullImage(
  { runner, name, transfer }: Launch,
  source: ImageSource,
  credentials: RegistryCredentials[],
): Promise<ProvisionedImage> {
  const { context } = runner;
  const record = runner.requireRecord();
  return context.images.provision({
    ...source,
    credentials,
    holder: containerIdOf(record, containerOf(record, name)),
    allowedPaths: context.policy().allowedHostPaths,
    signal: transfer,
    onProgress({ phase, item, doneBytes, totalBytes }) {
      if (phase !== 'Complete') runner.show(name, { state: 'Pulling', progress: { item, doneBytes, totalBytes } });
    },
  });
}

async function fetchFiles({ runner, name, transfer }: Launch, { container, sandbox, user }: LaunchSpec): Promise<void> {
  await runner.context.fetcher.fetch({
    uris: container.uris ?? [],
    sandbox,
    user,
    signal: transfer,
    onProgress: (progress) => runner.show(name, { state: 'Fetching', progress }),
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
  noteLaunched(runner, name, new Date(startedAtMs ?? runner.context.now()), pid === undefined ? {} : { pid });
}

/**
 * Neither waited for nor synced: as long as the machine runs, recovery comes to the same record from the running container; and after a restart
 * of the machine it is the boot id that decides.
 */
function noteLaunched(
  runner: TaskRunner,
  name: string,
  startedAt: Date,
  others: Omit<LaunchedFacts, 'startedAtMs'>,
): void {
  const facts: LaunchedFacts = { startedAtMs: startedAt.getTime(), ...others };
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
