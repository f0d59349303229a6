/** Health, readiness and generic checks of a task's running containers: started, paused and stopped as the record says, results noted in it. */
import {
  type CheckReport,
  initialCheckStatus,
  portNamed,
  type RunningChecks,
  startChecks,
  targetOf,
} from '../../checks/index.ts';
import { type ContainerRecord, containerIdOf, type TaskRecord } from './record.ts';
import type { TaskRunner } from './runner.ts';
import { documentContainer } from './start-order.ts';
import { noteHealth, step } from './steps.ts';

export interface TaskChecks {
  /** Makes what is running match the record. Cheap when nothing changed. */
  sync(): void;
  /** Before the container is frozen: no attempt is to hang in it. */
  pause(name: string): void;
  close(): Promise<void>;
}

interface Running {
  checks: RunningChecks;
  containerId: string;
  isPaused: boolean;
}

export function createChecks(runner: TaskRunner): TaskChecks {
  const running = new Map<string, Running>();
  const stopping = new Set<Promise<void>>();

  const stop = (name: string): void => {
    const stopped = running.get(name)?.checks.stop();
    running.delete(name);
    if (stopped === undefined) return;
    const done = stopped.finally(() => stopping.delete(done));
    stopping.add(done);
  };
  const pause = (name: string, isPaused: boolean): void => {
    const entry = running.get(name);
    if (entry === undefined || entry.isPaused === isPaused) return;
    entry.isPaused = isPaused;
    if (isPaused) entry.checks.pause();
    else entry.checks.resume();
  };

  return {
    sync() {
      const { record } = runner;
      for (const container of record?.containers ?? []) {
        const { name } = container;
        const containerId = containerIdOf(record!, container);
        const isChecked = isToBeChecked(runner, record!, container);
        if (!isChecked || running.get(name)?.containerId !== containerId) stop(name);
        if (!isChecked) continue;
        if (!running.has(name)) {
          running.set(name, { checks: begin(runner, record!, container), containerId, isPaused: false });
        }
        pause(name, container.frozen === true);
      }
    },
    pause: (name) => pause(name, true),
    async close() {
      for (const name of [...running.keys()]) stop(name);
      await Promise.all(stopping);
    },
  };
}

/** Nothing of what is to end is checked: whether it ends is no longer a question. */
function isToBeChecked(runner: TaskRunner, record: TaskRecord, container: ContainerRecord): boolean {
  if (record.phase !== 'Live' || record.kill !== undefined || runner.isClosed()) return false;
  if (container.phase !== 'Launched' || container.stop !== undefined) return false;
  if (runner.views.get(container.name)?.kind !== 'Running') return false;
  const declared = documentContainer(record.task, container);
  return declared?.healthCheck !== undefined || declared?.readinessCheck !== undefined || declared?.check !== undefined;
}

function begin(runner: TaskRunner, record: TaskRecord, container: ContainerRecord): RunningChecks {
  const { context } = runner;
  const { name, run, health, startedAtMs = context.now() } = container;
  const task = record.task!;
  const declared = documentContainer(task, container)!;
  if (declared.check !== undefined && record.checkStatus === undefined) {
    const checkStatus = initialCheckStatus(declared.check);
    runner.changeInMemory((current) => ({ ...current, checkStatus }));
    runner.wake();
  }
  return startChecks({
    container: declared,
    target: targetOf(context.containerizer, containerIdOf(record, container)),
    portNamed: (port) =>
      portNamed(port, declared, {
        hostNetwork: (task.spec.network?.mode ?? 'Host') === 'Host',
        hostPorts: task.spec.binding?.hostPorts,
      }),
    onReport(report) {
      if (runner.isClosed() || runner.record === undefined) return;
      runner
        .change((current) => noteReport(current, { name, run }, report, context.now()), { durable: false })
        .catch((err: unknown) =>
          context.logger.error({ err, task: runner.name() }, 'a task record could not be written'),
        );
      runner.wake();
    },
    onUndone: (message) =>
      context.logger.debug(
        { task: runner.name(), containerID: containerIdOf(record, container), err: message },
        'a check was not made',
      ),
    runningForMs: Math.max(0, context.now() - startedAtMs),
    // Only what an earlier agent process started has results before its checks begin.
    ...(health !== undefined && {
      previous: {
        ...(health.healthy !== undefined && { healthy: health.healthy }),
        ...(health.ready !== undefined && { ready: health.ready }),
        ...(record.checkStatus && { checkStatus: record.checkStatus }),
      },
    }),
  });
}

/** The record after a report of the container's checks; unchanged for a run that is over. Pure. */
export function noteReport(
  record: TaskRecord,
  which: { name: string; run: number },
  report: CheckReport,
  nowMs: number,
): TaskRecord {
  const container = record.containers.find(({ name }) => name === which.name);
  if (container?.run !== which.run || container.phase !== 'Launched') return record;
  const told = (reason: string, current: TaskRecord): TaskRecord => {
    if (current.report.state !== 'Running') return current;
    const prefix = record.containers.length === 1 ? '' : `container "${which.name}": `;
    return step(current, { state: 'Running', reason, message: `${prefix}${report.message}` }, nowMs);
  };
  switch (report.kind) {
    case 'Health': {
      const { healthy, kill, message } = report;
      const noted = noteHealth(record, which, { healthy, ...(kill && { failed: message }) });
      return told('TaskHealthCheckStatusUpdated', noted);
    }
    case 'Readiness': {
      const { ready, lastResponse } = report;
      return noteHealth(record, which, {
        ready,
        ...(lastResponse !== undefined && { lastReadinessResponse: lastResponse }),
      });
    }
    case 'Check': {
      const checkStatus = { ...report.checkStatus, time: new Date(nowMs).toISOString() };
      return told('TaskCheckStatusUpdated', { ...record, checkStatus });
    }
  }
}
