/** From the engine's statistics to ours. Pure. */
import type { ContainerResources, ResourceStatistics } from '../containerizer.ts';
import type { ContainerStats } from './engine-types.ts';

const nano = 1e9;

export function usageOf(stats: ContainerStats, { requests, limits }: ContainerResources): ResourceStatistics {
  const { cpu_usage: cpu, throttling_data: throttling } = stats.cpu_stats;
  const { usage = 0, max_usage: peak, limit, stats: detail } = stats.memory_stats;
  const rss = detail?.total_rss ?? detail?.anon;
  const cache = detail?.total_cache ?? detail?.file;
  return {
    timestamp: new Date(),
    cpusUserTimeSeconds: cpu.usage_in_usermode / nano,
    cpusSystemTimeSeconds: cpu.usage_in_kernelmode / nano,
    cpusLimit: limits.cpus ?? requests.cpus,
    ...(throttling && {
      cpusNrPeriods: throttling.periods,
      cpusNrThrottled: throttling.throttled_periods,
      cpusThrottledTimeSeconds: throttling.throttled_time / nano,
    }),
    memTotalBytes: usage,
    ...(rss !== undefined && { memRssBytes: rss }),
    ...(cache !== undefined && { memCacheBytes: cache }),
    ...(limit !== undefined && { memLimitBytes: limit }),
    ...(peak !== undefined && { memPeakBytes: peak }),
    ...(stats.pids_stats.current !== undefined && { processes: stats.pids_stats.current }),
  };
}
