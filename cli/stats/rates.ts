/** From two readings of what a container has used so far to what it uses now. Pure. */
import type { TaskStatistics } from '../../runtime/agent/endpoint/statistics.ts';

/** As it comes in JSON. */
export type Reading = Omit<TaskStatistics, 'statistics'> & {
  statistics: Omit<TaskStatistics['statistics'], 'timestamp'> & { timestamp: string };
  /** Of the persistent volumes that the container mounts, as far as they are measured. */
  volumesUsedBytes?: number;
};

export interface Rates {
  /** Cores in use. */
  cpus: number;
  /** Share of the scheduling periods in which the container was held back by its CPU limit, 0 to 1. */
  throttled?: number;
}

/** undefined when the container was not there before, or its counters began anew. */
export function ratesOf(before: Reading | undefined, now: Reading): Rates | undefined {
  if (before === undefined || before.containerId !== now.containerId) return undefined;
  const seconds = (Date.parse(now.statistics.timestamp) - Date.parse(before.statistics.timestamp)) / 1000;
  const used = cpuSeconds(now) - cpuSeconds(before);
  if (seconds <= 0 || used < 0) return undefined;
  const periods = (now.statistics.cpusNrPeriods ?? 0) - (before.statistics.cpusNrPeriods ?? 0);
  const held = (now.statistics.cpusNrThrottled ?? 0) - (before.statistics.cpusNrThrottled ?? 0);
  return { cpus: used / seconds, ...(periods > 0 && held >= 0 && { throttled: Math.min(1, held / periods) }) };
}

export function cpuSeconds({ statistics }: Reading): number {
  return statistics.cpusUserTimeSeconds + statistics.cpusSystemTimeSeconds;
}
