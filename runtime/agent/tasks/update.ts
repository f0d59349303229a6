/** Live update: cpu and memory of running containers as the document now says, without a restart. */
import { containerResources } from './launch.ts';
import { containerIdOf, type TaskRecord } from './record.ts';
import type { TaskRunner } from './runner.ts';
import { specChange, withResources } from './spec-change.ts';
import { documentContainer } from './start-order.ts';

/** What the containerizer refuses is said in condition SpecApplied and tried again later; the container goes on as it was. */
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
  if (declared === undefined) return;
  const resources = containerResources(declared, context.policy().defaultPidsLimit);
  await context.containerizer.update(containerIdOf(record, container), resources);
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
