/** A terminal on the container's own /dev/pts in place of three streams. After the change of root, before the user who is to own it. */
import type { Isolator } from './isolator.ts';

export function terminalIsolator(): Isolator {
  return {
    name: 'terminal',
    contribute: ({ container }) => (container.tty ? { setup: [{ op: 'terminal' }] } : {}),
  };
}
