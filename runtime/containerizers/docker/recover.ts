/** Start-up: what the engine has of ours, what is expected, and the removal of the rest. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Containerizer } from '../containerizer.ts';
import { containerLabel, type DockerContainer, type DockerContext, engineName, instanceLabel } from './context.ts';
import { destroyContainer } from './destroy.ts';
import type { ContainerInspect, ContainerSummary } from './engine-types.ts';
import { followContainer, terminationOf } from './follow.ts';
import { launchedOf } from './launch.ts';

type Recovered = Awaited<ReturnType<Containerizer['recover']>>;

export async function recoverContainers(context: DockerContext, expected: string[]): Promise<Recovered> {
  const { engine, records, instance, orphans } = context;
  const filters = encodeURIComponent(JSON.stringify({ label: [`${instanceLabel}=${instance}`] }));
  const summaries = await engine.call<ContainerSummary[]>('GET', `/containers/json?all=1&filters=${filters}`);
  const present = new Map(summaries.map((summary) => [summary.Labels[containerLabel]!, summary]));
  const wanted = new Set(expected);
  const recovered: Recovered = [];
  for (const containerId of new Set([...present.keys(), ...records.list()])) {
    const record = records.read(containerId);
    const summary = present.get(containerId);
    // One that was made and never started has not run its command: it is launched again.
    if (!wanted.has(containerId) || !record || !summary || summary.State === 'created') {
      await orphans.remove(containerId, () => destroyContainer(context, containerId));
      continue;
    }
    const inspect = await engine.call<ContainerInspect>('GET', `/containers/${engineName(containerId)}/json`);
    const container: DockerContainer = {
      spec: record.spec,
      termination: Promise.withResolvers(),
      ended: false,
      launched: launchedOf(containerId, inspect.State),
    };
    context.containers.set(containerId, container);
    followContainer(context, container);
    const running = inspect.State.Running;
    if (!running) {
      // What it still wrote is copied first, as for one that ends under our eyes.
      await Promise.race([container.termination.promise, delay(10_000, undefined, { ref: false })]);
      container.termination.resolve(terminationOf(containerId, inspect));
      container.ended = true;
    }
    recovered.push({ containerId, running, ...(running && { launched: container.launched! }) });
  }
  return recovered;
}
