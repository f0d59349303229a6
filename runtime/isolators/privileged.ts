/** `security.privileged`: what other isolators keep from a container, it has. The agent must allow it (Agent.spec.isolation.allowPrivileged). */
import type { ContainerSpec } from './isolator.ts';

/**
 * All capabilities that the agent has and no seccomp filter or AppArmor profile unless it names its own, the host's devices, /proc and /sys unmasked and writable. Its
 * file systems, processes and network stay its own, and so do its limits; user ids are the host's.
 */
export function isPrivileged({ container }: Pick<ContainerSpec, 'container'>): boolean {
  return container.security?.privileged === true;
}
