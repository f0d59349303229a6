/** Removes an ended run of a container: its processes, cgroups and mounts. */
import { containerIdOf } from './record.ts';
import type { TaskRunner } from './runner.ts';
import { markRemoved } from './steps.ts';

export async function removeContainer(runner: TaskRunner, name: string): Promise<void> {
  const { context } = runner;
  const record = runner.requireRecord();
  const container = record.containers.find((candidate) => candidate.name === name)!;
  const containerId = containerIdOf(record, container);
  await context.slots.use(() => context.containerizer.destroy(containerId));
  await context.images.release(containerId);
  runner.views.set(name, { kind: 'None', neverStarted: true });
  // Only in memory: after a crash the removal is asked for again, which is cheaper than one more fsync per run.
  runner.changeInMemory((current) => markRemoved(current, name));
}
