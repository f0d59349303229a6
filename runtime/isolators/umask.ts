/** Files of a container are readable by others and writable by their owner only, whatever the agent was started with. */
import type { Isolator } from './isolator.ts';

export function umaskIsolator(): Isolator {
  return { name: 'umask', contribute: () => ({ privileges: [{ op: 'umask', mask: 0o022 }] }) };
}
