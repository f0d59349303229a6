/** Start-up: what an earlier agent process left, put together from the records and from what the containerizer finds. */
import type { LaunchedContainer } from '../../containerizers/containerizer.ts';
import type { TaskContext } from './context.ts';
import type { TaskManager } from './manager.ts';
import { type ContainerRecord, containerIdOf, expectedContainerIds, type TaskRecord } from './record.ts';
import { upgradeRecord } from './record-upgrade.ts';
import type { TaskRunner } from './runner.ts';
import { removeEmptyPaths } from './sandbox.ts';

/**
 * Takes running containers back, learns how others ended, destroys containers that no record knows. Runners exist for all records when it
 * resolves; they act once woken.
 */
export async function recoverTasks(context: TaskContext, manager: TaskManager): Promise<void> {
  const records = [...(await context.records.load()).values()].map(upgradeRecord);
  const expected = records.flatMap(expectedContainerIds);
  const found = new Map((await context.containerizer.recover(expected)).map((entry) => [entry.containerId, entry]));
  await context.images.retainHolders(expected);
  await context.memoryVolumes.recover(records.flatMap(({ phase, groupId }) => (phase === 'Cleaned' ? [] : [groupId])));
  await context.networks.recover(records.filter(({ phase }) => phase !== 'Cleaned').map(({ groupId }) => groupId));
  await context.diskLimits.recover(expected);
  await removeEmptyPaths(context.sandboxRoot);
  for (const { uid, phase, userNamespace } of records)
    if (userNamespace && phase !== 'Cleaned') context.idRanges?.adopt(uid, userNamespace);
  for (const record of records) {
    const containers = record.containers.map((container) => withStart(record, container, found));
    const networkInfos = context.networks.infosOf(record.groupId) ?? record.networkInfos;
    const runner = manager.adopt({ ...record, containers, ...(networkInfos && { networkInfos }) });
    if (record.phase !== 'Live') continue;
    for (const container of containers) await observeContainer(context, runner, container, found);
    context.logger.info(
      { task: runner.name(), containerID: record.groupId, state: record.report.state },
      'task taken back',
    );
  }
  for (const runner of manager.runners()) runner.wake();
}

type Found = Map<string, { running: boolean; launched?: LaunchedContainer }>;

/** When it was started is known to the containerizer where the record was not written any more. */
function withStart(record: TaskRecord, container: ContainerRecord, found: Found): ContainerRecord {
  const launched = found.get(containerIdOf(record, container))?.launched;
  if (container.startedAtMs !== undefined || launched === undefined) return container;
  return { ...container, startedAtMs: launched.startedAt.getTime(), pid: launched.pid };
}

async function observeContainer(
  { agent, containerizer, logger }: TaskContext,
  runner: TaskRunner,
  container: ContainerRecord,
  found: Found,
): Promise<void> {
  const record = runner.requireRecord();
  const { name } = container;
  const containerId = containerIdOf(record, container);
  const entry = found.get(containerId);
  if (entry?.running) {
    // As the record has it: an agent that was killed between the two may have left it otherwise, and then nobody would come back to it.
    const frozen = container.frozen === true && container.stop === undefined;
    await containerizer.freeze?.(containerId, frozen).catch((err: unknown) => {
      logger.debug(
        { err, containerID: containerId, task: runner.name() },
        'a container could not be frozen or resumed',
      );
    });
    runner.follow(name, containerId);
  } else if (entry !== undefined) {
    runner.views.set(name, { kind: 'Ended', termination: await containerizer.wait(containerId) });
  } else {
    // Within a boot the containerizer knows everything that was begun; of an earlier boot only what ended and was recorded.
    runner.views.set(name, { kind: 'None', neverStarted: record.bootId === agent.bootId });
  }
}
