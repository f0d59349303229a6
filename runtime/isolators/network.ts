/** Network mode None: an own network namespace with nothing but a working loopback interface. Host mode adds nothing; Cni comes later. */
import type { Isolator } from './isolator.ts';

export function networkIsolator(): Isolator {
  return {
    name: 'network',
    contribute: ({ task }) => (task.spec.network?.mode === 'None' ? { setup: [{ op: 'loopbackUp' }] } : {}),
  };
}
