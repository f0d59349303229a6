/** The numbers of a check in milliseconds, with Mesos's defaults where the document says nothing (the API server normally fills them in). */
import type { GenericCheck, HealthCheck, ReadinessCheck } from '../../crds/types.generated.ts';

export interface Timing {
  /** From the launch to the first attempt. */
  delayMs: number;
  /** From the end of one attempt to the next. */
  intervalMs: number;
  /** `Infinity`: none. */
  timeoutMs: number;
}

export function healthTiming({ delaySeconds = 15, intervalSeconds = 10, timeoutSeconds = 20 }: HealthCheck): Timing {
  return timing(delaySeconds, intervalSeconds, timeoutSeconds);
}

export function genericTiming({ delaySeconds = 15, intervalSeconds = 10, timeoutSeconds = 20 }: GenericCheck): Timing {
  return timing(delaySeconds, intervalSeconds, timeoutSeconds);
}

/** As Marathon's readiness checks, which know no delay: the first attempt is made at once. */
export function readinessTiming({ intervalSeconds = 30, timeoutSeconds = 10 }: ReadinessCheck): Timing {
  return timing(0, intervalSeconds, timeoutSeconds);
}

/** More often would be a load on the agent that no task should be able to make. */
const MIN_INTERVAL_MS = 100;

function timing(delaySeconds: number, intervalSeconds: number, timeoutSeconds: number): Timing {
  return {
    delayMs: delaySeconds * 1000,
    intervalMs: Math.max(MIN_INTERVAL_MS, intervalSeconds * 1000),
    timeoutMs: timeoutSeconds === 0 ? Number.POSITIVE_INFINITY : timeoutSeconds * 1000,
  };
}
