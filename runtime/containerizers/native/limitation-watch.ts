/**
 * Ends containers over a limit that the kernel does not enforce on the whole container (cgroup v1 memory: it kills one process and leaves
 * the others). One timer for all containers, and none while there are no containers: Node cannot wait on the kernel's own event here.
 */
import type { Isolator, Limitation } from '../../isolators/isolator.ts';

const intervalMs = 1000;

export interface LimitationWatch {
  add(containerId: string): void;
  delete(containerId: string): void;
  close(): void;
}

export function createLimitationWatch(
  isolators: Isolator[],
  onLimitation: (containerId: string, limitation: Limitation) => void,
): LimitationWatch {
  const polled = isolators.filter((isolator) => isolator.polled && isolator.limitation);
  const watched = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const check = () => {
    for (const containerId of watched) {
      const limitation = findLimitation(polled, containerId);
      if (!limitation) continue;
      watched.delete(containerId);
      onLimitation(containerId, limitation);
    }
  };
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
  };

  return {
    add(containerId) {
      if (polled.length === 0) return;
      watched.add(containerId);
      timer ??= setInterval(check, intervalMs).unref();
    },
    delete(containerId) {
      watched.delete(containerId);
      if (watched.size === 0) stop();
    },
    close: stop,
  };
}

export function findLimitation(isolators: Isolator[], containerId: string): Limitation | undefined {
  for (const isolator of isolators) {
    const limitation = isolator.limitation?.(containerId);
    if (limitation) return limitation;
  }
  return undefined;
}
