/** The host name: what the document says; else the agent's with the host's network, and the task's name without. */
import type { Isolator } from './isolator.ts';

/** The kernel's limit (__NEW_UTS_LEN). */
const maxLength = 64;

export function hostnameIsolator(): Isolator {
  return {
    name: 'hostname',
    contribute({ task, network }) {
      const { hostname, mode } = task.spec.network ?? {};
      const own = network?.namespacePath !== undefined || mode === 'None';
      const name = network?.hostname ?? hostname ?? (own ? task.metadata.name : undefined);
      return name === undefined ? {} : { setup: [{ op: 'hostname', name: name.slice(0, maxLength) }] };
    },
  };
}
