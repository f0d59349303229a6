/** setuid programs and file capabilities have no effect, unless the document says otherwise. */
import type { ContainerSpec, Isolator } from './isolator.ts';

export function noNewPrivilegesIsolator(): Isolator {
  return {
    name: 'linux/nnp',
    contribute: (spec) => (hasNoNewPrivileges(spec) ? { privileges: [{ op: 'noNewPrivileges' }] } : {}),
  };
}

export function hasNoNewPrivileges({ container }: ContainerSpec): boolean {
  return container.security?.noNewPrivileges !== false;
}
