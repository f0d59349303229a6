/** Linux capabilities: a small set for root, none for other users, or exactly what the document lists. */
import { readFileSync } from 'node:fs';
import type { Operation } from '../launcher/operations.ts';
import { refusalsOf } from '../refusals-of.ts';
import { type ContainerSpec, IsolationRefused, type Isolator, type IsolatorHost } from './isolator.ts';
import { isPrivileged } from './privileged.ts';

/** Number = index; linux/capability.h. */
// biome-ignore format: rows
export const capabilityNames = [
  'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP',
  'LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER',
  'SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE',
  'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP',
  'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF',
  'CHECKPOINT_RESTORE',
];

/**
 * What root gets when neither the document nor the agent names a set. Docker's list without what is useless or harmful here:
 * MKNOD (every mount is nodev), SETFCAP (file capabilities do nothing under no-new-privileges), SETPCAP (nothing to hand on), AUDIT_WRITE (the
 * host's audit log is not the task's), NET_RAW (with the host's network it would read everybody's packets).
 */
// biome-ignore format: rows
export const defaultCapabilities = [
  'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'NET_BIND_SERVICE', 'SYS_CHROOT',
];

/**
 * What a document can ask for where the agent's policy (`isolation.boundingCapabilities`) says nothing: the default, and what stays within the
 * container. Each of the others reaches the host: MKNOD its disks, SYS_ADMIN its mounts, SYS_PTRACE the agent in exec, NET_ADMIN and NET_RAW its network.
 */
// biome-ignore format: rows
export const grantableCapabilities = [...defaultCapabilities, 'SETPCAP', 'SETFCAP', 'IPC_LOCK'];

export function capabilitiesIsolator({ policy }: IsolatorHost, available = availableCapabilities()): Isolator {
  return {
    name: 'linux/capabilities',
    asks: ({ security }) => (security?.capabilities ? 'security.capabilities' : undefined),
    // Whatever the user is: what a set may hold does not depend on it.
    problems: (container) =>
      refusalsOf(IsolationRefused, () => resolveCapabilities({ container, user: ROOT }, policy(), available)),
    contribute: (spec) => ({
      privileges: [toOperation(resolveCapabilities(spec, policy(), available), spec.user.uid)],
    }),
  };
}

const ROOT = { uid: 0 } as ContainerSpec['user'];

/** Names of the bounding set of a container. */
export type BoundingNames = (spec: Pick<ContainerSpec, 'container' | 'user'>) => string[];

export function boundingNames(policy: IsolatorHost['policy'], available = availableCapabilities()): BoundingNames {
  return (spec) => resolveCapabilities(spec, policy(), available).bounding.map((number) => capabilityNames[number]!);
}

/** Names of what the container's root holds, for a runtime that finds out itself which user that is. */
export function effectiveNamesOfRoot(
  { container }: Pick<ContainerSpec, 'container'>,
  policy: ReturnType<IsolatorHost['policy']>,
  available = availableCapabilities(),
): string[] {
  return resolveCapabilities({ container, user: ROOT }, policy, available).effective.map(
    (number) => capabilityNames[number]!,
  );
}

export interface CapabilitySets {
  effective: number[];
  bounding: number[];
}

/**
 * The sets of one container. Privileged: all that the agent has, unless it lists its own. `effective` absent: the agent's default for root, nothing for others. `bounding` absent: the effective set, or the
 * default where that is absent too. Asking for more than the agent allows, or has, is refused.
 */
export function resolveCapabilities(
  { container, user }: Pick<ContainerSpec, 'container' | 'user'>,
  policy: { defaultCapabilities?: readonly string[]; boundingCapabilities?: readonly string[] },
  available: ReadonlySet<number>,
): CapabilitySets {
  const asked = container.security?.capabilities ?? {};
  const isAllPowerful = isPrivileged({ container });
  const allowed = new Set<string>(
    isAllPowerful ? capabilityNames : (policy.boundingCapabilities ?? grantableCapabilities),
  );
  const defaults = isAllPowerful
    ? capabilityNames
    : (policy.defaultCapabilities ?? defaultCapabilities).filter((name) => allowed.has(name));
  for (const set of ['effective', 'bounding'] as const) {
    for (const name of asked[set] ?? []) {
      const field = `security.capabilities.${set}`;
      if (!capabilityNames.includes(name)) throw new IsolationRefused(`${field}: ${name} is no capability`);
      if (!allowed.has(name))
        throw new IsolationRefused(
          `${field}: ${name} is more than this agent allows (Agent spec.isolation.boundingCapabilities)`,
        );
      if (!available.has(numberOf(name)))
        throw new IsolationRefused(`${field}: this agent does not have ${name} itself`);
    }
  }
  const effective = asked.effective ?? (user.uid === 0 ? (asked.bounding ?? defaults) : []);
  const bounding = asked.bounding ?? asked.effective ?? defaults;
  const outside = effective.find((name) => !(bounding as readonly string[]).includes(name));
  if (outside) throw new IsolationRefused(`security.capabilities.effective: ${outside} is not in the bounding set`);
  const numbers = (names: readonly string[]) => names.map(numberOf).filter((number) => available.has(number));
  return { effective: numbers(effective), bounding: numbers(bounding) };
}

function toOperation({ effective, bounding }: CapabilitySets, uid: number): Operation {
  // Only ambient capabilities survive the exec of a user who is not root, and ambient needs inheritable. Root needs neither, and an
  // inheritable set would let it hand capabilities to programs marked for them (CVE-2022-24769).
  const handedOn = uid === 0 ? [] : effective;
  return { op: 'capabilities', bounding, effective, permitted: effective, inheritable: handedOn, ambient: handedOn };
}

const numberOf = (name: string): number => capabilityNames.indexOf(name);

function availableCapabilities(): Set<number> {
  const permitted = BigInt(`0x${/^CapPrm:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`);
  return new Set(capabilityNames.flatMap((_, number) => ((permitted >> BigInt(number)) & 1n ? [number] : [])));
}
