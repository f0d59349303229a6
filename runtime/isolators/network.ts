/** The task's network namespace where it has one; for mode None without one, a new one with nothing but a working loopback interface. */
import type { Isolator } from './isolator.ts';
import { hasNewNetwork } from './namespaces.ts';

export function networkIsolator(): Isolator {
  return {
    name: 'network',
    contribute(spec) {
      const path = spec.network?.namespacePath;
      if (path !== undefined) return { join: [{ op: 'joinNamespace', path, kinds: ['net'] }] };
      // In a task group it is that of the group, and up already.
      return hasNewNetwork(spec) && spec.groupId === undefined ? { join: [{ op: 'loopbackUp' }] } : {};
    },
  };
}
