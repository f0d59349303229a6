import type { QueueObserver } from '../queue/work-queue.ts';
import type { Metrics } from './metrics.ts';

/** Counts what goes through the queue of one controller. */
export function observeQueue(metrics: Metrics, controller: string): QueueObserver {
  const labels = { name: controller, controller };
  const depth = metrics.queueDepth.labels(labels);
  const adds = metrics.queueAdds.labels(labels);
  const retries = metrics.queueRetries.labels(labels);
  const wait = metrics.queueWait.labels(labels);
  const work = metrics.queueWork.labels(labels);
  depth.set(0);
  adds.inc(0);
  retries.inc(0);
  return {
    added(size) {
      adds.inc();
      depth.set(size);
    },
    retried: () => retries.inc(),
    started(size, waitedSeconds) {
      depth.set(size);
      wait.observe(waitedSeconds);
    },
    finished: (workedSeconds) => work.observe(workedSeconds),
  };
}
