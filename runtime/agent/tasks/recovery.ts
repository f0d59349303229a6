/** Start-up: what an earlier agent process left, put together from the records and from what the containerizer finds. */
import type { TaskContext } from './context.ts';
import type { TaskManager } from './manager.ts';
import { listSandboxes, removeSandbox } from './sandbox.ts';

/**
 * Takes running containers back, learns how others ended, destroys containers that no record knows. Runners exist for all records when it
 * resolves; they act once woken.
 */
export async function recoverTasks(context: TaskContext, manager: TaskManager): Promise<void> {
  const records = [...(await context.records.load()).values()];
  const expected = records
    .filter(({ containerId, phase }) => containerId !== '' && phase !== 'Cleaned')
    .map(({ containerId }) => containerId);
  const found = new Map((await context.containerizer.recover(expected)).map((entry) => [entry.containerId, entry]));
  for (const record of records) {
    const entry = found.get(record.containerId);
    const started = entry?.launched?.startedAt.getTime();
    const runner = manager.adopt(
      record.startedAtMs === undefined && started !== undefined ? { ...record, startedAtMs: started } : record,
    );
    if (record.phase === 'Ended' || record.phase === 'Cleaned') continue;
    if (entry?.running) {
      runner.follow(record.containerId);
    } else if (entry !== undefined) {
      runner.container = { kind: 'Ended', termination: await context.containerizer.wait(record.containerId) };
    } else {
      // Within a boot the containerizer knows everything that was begun; of an earlier boot only what ended and was recorded.
      runner.container = { kind: 'None', neverStarted: record.bootId === context.agent.bootId };
    }
    context.logger.info(
      { task: runner.name(), containerID: record.containerId, state: record.report.state, op: runner.container.kind },
      'task taken back',
    );
  }
  await removeStraySandboxes(context, new Set(records.map(({ containerId }) => containerId)));
  for (const runner of manager.runners()) runner.wake();
}

/** A sandbox without a record is left of a removal that was cut short: records are removed last. */
async function removeStraySandboxes(context: TaskContext, known: Set<string>): Promise<void> {
  for (const key of await listSandboxes(context.sandboxRoot)) {
    if (!known.has(key.containerId)) await removeSandbox(context.sandboxRoot, key);
  }
}
