/** Records of earlier versions of the agent, read as this one writes them. Pure. */
import type { ContainerPhase, TaskRecord } from './record.ts';
import type { TaskReport } from './status.ts';

/** Version 1: one container, without restarts. */
interface TaskRecordV1 {
  uid: string;
  namespace: string;
  name: string;
  containerId: string;
  containerName: string;
  bootId: string;
  phase: 'Intended' | 'Launched' | 'Ended' | 'Cleaned';
  sandbox: string;
  volumes: string[];
  killGraceSeconds: number;
  stopSignal: number;
  maxCompletionTimeSeconds?: number;
  startedAtMs?: number;
  kill?: { cause: string; requestedAtMs: number; deadlineMs: number; forcedAtMs?: number };
  termination?: {
    exitCode?: number;
    signal?: number;
    finishedAtMs: number;
    limitation?: { reason: string; message: string; resource: string };
    lost?: boolean;
  };
  report: TaskReport;
}

/** A record of any version that is still read. */
export function upgradeRecord(stored: TaskRecord | TaskRecordV1): TaskRecord {
  if ('containers' in stored) return stored;
  const { containerId, containerName, stopSignal, termination, kill, phase, ...rest } = stored;
  return {
    ...rest,
    groupId: containerId,
    isGroup: false,
    phase: phase === 'Ended' || phase === 'Cleaned' ? phase : 'Live',
    ...(kill && { kill: { cause: kill.cause as never, requestedAtMs: kill.requestedAtMs } }),
    containers: [
      {
        name: containerName,
        init: false,
        phase: containerId === '' ? 'Waiting' : ((phase === 'Cleaned' ? 'Removed' : phase) satisfies ContainerPhase),
        run: 0,
        stopSignal,
        failures: 0,
        ...(stored.startedAtMs !== undefined && { startedAtMs: stored.startedAtMs, wasStarted: true }),
        ...(stored.report.pid !== undefined && { pid: stored.report.pid }),
        ...(kill && {
          stop: {
            requestedAtMs: kill.requestedAtMs,
            deadlineMs: kill.deadlineMs,
            ...(kill.forcedAtMs !== undefined && { forcedAtMs: kill.forcedAtMs }),
          },
        }),
        ...(termination && { end: termination }),
      },
    ],
  };
}
