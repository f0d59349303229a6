/** Live update: cpu and memory of running containers as the document now says, without a restart. */
import type { Task } from '../../../crds/types.generated.ts';
import type { TaskContext } from './context.ts';
import { containerResources, groupResources } from './launch.ts';
import { refuseOverQuota } from './quota-room.ts';
import { containerIdOf, type TaskRecord } from './record.ts';
import type { TaskRunner } from './runner.ts';
import { specChange, withResources } from './spec-change.ts';
import { documentContainer } from './start-order.ts';

/** Of sums of thousandths of cores. */
const ROUNDING = 1e-6;

/** What the containerizer, the size of the agent or the quota of the role refuses is said in condition SpecApplied and tried again later; the container goes on as it was. */
export async function updateResources(runner: TaskRunner, names: string[]): Promise<void> {
  const { context, document } = runner;
  if (document === undefined) return;
  const generation = document.metadata.generation ?? 0;
  for (const name of names) {
    try {
      await updateContainer(runner, name);
    } catch (error) {
      const message = `container "${name}": ${error instanceof Error ? error.message : String(error)}`;
      const refusedUpdate = { generation, message, atMs: context.now() };
      context.logger.warn({ err: error, task: runner.name() }, 'an update of resources was refused');
      await runner.change((record) => ({ ...record, refusedUpdate }));
      return;
    }
    await runner.change(({ refusedUpdate: _refused, ...record }) => applied(record, document, name));
  }
}

async function updateContainer({ context, document, record }: TaskRunner, name: string): Promise<void> {
  const container = record?.containers.find((candidate) => candidate.name === name);
  if (record === undefined || container?.phase !== 'Launched') return;
  const declared = documentContainer(document, container);
  if (declared === undefined || record.task === undefined) return;
  const wanted = withResources(record.task, document!, name);
  refuseWithoutRoom(context, record.task, wanted);
  await refuseOverQuota(context.client, record.task, wanted);
  const resources = containerResources(declared, context.policy().defaultPidsLimit);
  await context.containerizer.update(containerIdOf(record, container), resources);
}

/** More than this agent has is never granted. */
function refuseWithoutRoom({ room }: TaskContext, before: Task, after: Task): void {
  const left = room();
  const [old, wanted] = [groupResources(before).requests, groupResources(after).requests];
  const moreCpus = wanted.cpus - old.cpus;
  const moreBytes = wanted.memBytes - old.memBytes;
  if (left !== undefined && moreCpus > 0 && moreCpus > left.cpus + ROUNDING)
    throw new Error(
      `resources.requests.cpus: ${moreCpus.toFixed(3)} more are asked for, and this agent has ${Math.max(0, left.cpus).toFixed(3)}`,
    );
  if (left !== undefined && moreBytes > 0 && moreBytes > left.memBytes) {
    const free = Math.max(0, left.memBytes);
    throw new Error(`resources.requests.mem: ${moreBytes} bytes more are asked for, and this agent has ${free}`);
  }
}

function applied(record: TaskRecord, document: NonNullable<TaskRunner['document']>, name: string): TaskRecord {
  if (record.task === undefined) return record;
  const task = withResources(record.task, document, name);
  const { resources, unapplied } = specChange(task, document);
  const isWhole = resources.length === 0 && unapplied.length === 0;
  return {
    ...record,
    wasUpdated: true,
    task: isWhole ? { ...task, metadata: { ...task.metadata, generation: document.metadata.generation } } : task,
  };
}
