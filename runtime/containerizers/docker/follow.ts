/** Follows a container in the engine: its output into the sandbox, its end to whoever waits. */
import { setTimeout as delay } from 'node:timers/promises';
import { memoryLimitation } from '../../isolators/cgroups/memory.ts';
import type { Termination } from '../containerizer.ts';
import { logSink } from '../native/launch-request.ts';
import { lostTermination } from '../native/termination.ts';
import { type DockerContainer, type DockerContext, engineName } from './context.ts';
import { isNotFound } from './engine.ts';
import type { ContainerInspect } from './engine-types.ts';
import { copyLogs } from './log-copier.ts';

const retryMs = 1000;
/** After its end a container's output is there at once; an engine that does not tell it must not hold up the task. */
const lastOutputMs = 10_000;

export function followContainer(context: DockerContext, container: DockerContainer): void {
  const { containerId } = container.spec;
  container.logs = copyLogs({
    engine: context.engine,
    container: engineName(containerId),
    sinks: { stdout: logSink(container.spec, 'stdout'), stderr: logSink(container.spec, 'stderr') },
    positionFile: context.records.positionFile(containerId),
    onError: (err) => context.logger.warn({ err, containerID: containerId }, 'copying a log failed; it is tried again'),
  });
  container.logs.done.catch((err: unknown) => {
    context.logger.error({ err, containerID: containerId }, 'the output of a container is not kept');
  });
  void waitForEnd(context, containerId).then(async (termination) => {
    if (termination === undefined) return;
    await Promise.race([container.logs?.done.catch(() => {}), delay(lastOutputMs, undefined, { ref: false })]);
    container.ended = true;
    container.termination.resolve(termination);
  });
}

/** undefined when this agent process lets go first. An engine that is being restarted is waited for. */
async function waitForEnd(context: DockerContext, containerId: string): Promise<Termination | undefined> {
  const { engine, closed } = context;
  const path = `/containers/${engineName(containerId)}`;
  for (;;) {
    try {
      await engine.call('POST', `${path}/wait?condition=not-running`, { timeoutMs: 0, signal: closed });
      return terminationOf(containerId, await engine.call<ContainerInspect>('GET', `${path}/json`));
    } catch (error) {
      if (closed.aborted) return undefined;
      if (isNotFound(error)) return lostTermination(containerId);
      await delay(retryMs, undefined, { ref: false });
    }
  }
}

export function terminationOf(containerId: string, { State, HostConfig }: ContainerInspect): Termination {
  const oomKilled = State.OOMKilled && State.ExitCode !== 0;
  return {
    containerId,
    exitCode: State.ExitCode,
    oomKilled,
    finishedAt: new Date(State.FinishedAt),
    ...(oomKilled && { limitation: memoryLimitation(HostConfig.Memory || undefined, undefined) }),
  };
}
