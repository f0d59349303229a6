/**
 * What an agent without root cannot give: one table, by which it declares (Agent.status.containerizers[].unsupported) and refuses, and of which the
 * reference page is made. Pure, but for what a row reads of this process.
 */
import { readFileSync } from 'node:fs';
import type { Task, TaskContainer } from '../../crds/types.generated.ts';
import { rlimitNumbers } from '../isolators/rlimits.ts';
import { worksInUserNamespace } from '../isolators/user-namespace.ts';
import { hasOneIdOnly } from './ids.ts';

export interface Refusal {
  /** Path in a Task. Of a container when it begins with `spec.containers[].`; that holds for init containers too. */
  field: string;
  /** Which values, for people. */
  values: string;
  reason: string;
  /** Whether this agent has the gap at all. Default: yes. */
  applies?(): boolean;
  /** Of a container: the values that are refused, as `path: value`, the path relative to the field. */
  inContainer?(container: TaskContainer, task: Task): string[];
  inTask?(task: Task): string[];
}

const PREFIX = 'spec.containers[].';
const wrong = (isWrong: boolean | undefined, value = ''): string[] => (isWrong ? [value] : []);

export const refusals: readonly Refusal[] = [
  {
    field: 'spec.containers[].security.privileged',
    values: '`true`',
    reason: 'the agent has no privileges on the machine to hand on',
    inContainer: ({ security }) => wrong(security?.privileged),
  },
  {
    field: 'spec.containers[].security.userNamespace',
    values: '`Private`',
    reason: 'the agent is in a user namespace of its own, and the ids of files cannot be mapped once more',
    inContainer: ({ security }) => wrong(security?.userNamespace === 'Private', 'Private'),
  },
  {
    field: 'spec.containers[].security.capabilities',
    values:
      'all but those about files, processes and ids of the container (and `NET_BIND_SERVICE` with `network.mode: None`)',
    reason: 'without it they have no effect on what belongs to the machine',
    inContainer({ security }, task) {
      const { effective = [], bounding = [] } = security?.capabilities ?? {};
      const own = task.spec.network?.mode === 'None';
      return [...new Set([...effective, ...bounding])].filter((name) => !worksInUserNamespace(name, own));
    },
  },
  {
    field: 'spec.containers[].security.appArmorProfile',
    values: '`type` other than `Unconfined`',
    reason: 'which profiles are loaded is known to root of the machine alone',
    inContainer: ({ security }) =>
      wrong((security?.appArmorProfile?.type ?? 'Unconfined') !== 'Unconfined', security?.appArmorProfile?.type),
  },
  {
    field: 'spec.containers[].namespaces.pid',
    values: '`Host`',
    reason: 'the processes of the machine are not of this user namespace',
    inContainer: ({ namespaces }) => wrong(namespaces?.pid === 'Host', 'Host'),
  },
  {
    field: 'spec.containers[].devices',
    values: 'any',
    reason: 'device files and rules for them (BPF) are made by root of the machine',
    inContainer: ({ devices }) => (devices ?? []).map(({ path }) => path ?? ''),
  },
  {
    field: 'spec.containers[].resources.requests.gpus',
    values: 'more than 0',
    reason: 'GPUs are devices, and device files are made by root of the machine',
    inContainer: ({ resources }) => wrong(Number(resources?.requests?.gpus ?? 0) > 0, `${resources?.requests?.gpus}`),
  },
  {
    field: 'spec.containers[].resources.diskEnforcement',
    values: '`Quota`, `File`',
    reason: 'quotas are set, and files mounted, by root of the machine; use Usage',
    inContainer: ({ resources }) =>
      wrong(['Quota', 'File'].includes(resources?.diskEnforcement ?? ''), resources?.diskEnforcement),
  },
  {
    field: 'spec.containers[].rlimits',
    values: '`hard`, or unlimited, above what the agent has itself',
    reason: 'raising a limit needs root of the machine',
    inContainer: ({ rlimits }) =>
      (rlimits ?? []).flatMap(({ type, hard }) => wrong((hard ?? Infinity) > ownHardLimit(type), type)),
  },
  {
    field: 'spec.containers[].ports',
    values: '`hostPort` below the sysctl `net.ipv4.ip_unprivileged_port_start`, usually 1024',
    reason: 'low ports are kept for root of the machine',
    inContainer: ({ ports }) =>
      (ports ?? []).flatMap(({ hostPort = 0 }) =>
        wrong(hostPort > 0 && hostPort < firstUnprivilegedPort(), `hostPort ${hostPort}`),
      ),
  },
  {
    field: 'spec.network.mode',
    values: '`Cni`',
    reason: 'networks of the machine are made by its root; use Host or None',
    inTask: (task) => wrong(task.spec.network?.mode === 'Cni', 'Cni'),
  },
  {
    field: 'spec.user',
    values: 'without ids of the user in /etc/subuid and /etc/subgid: all but `root` and `0`',
    reason:
      'the agent has one id only, which is root in its containers: give its user ids in /etc/subuid and /etc/subgid',
    applies: hasOneIdOnly,
    inTask: (task) => otherUser(task.spec.user),
  },
  {
    field: 'spec.containers[].user',
    values: 'the same',
    reason:
      'the agent has one id only, which is root in its containers: give its user ids in /etc/subuid and /etc/subgid',
    applies: hasOneIdOnly,
    inContainer: ({ user }) => otherUser(user),
  },
];

/** Fields with values that this agent refuses. */
export function refusedWithoutRoot(): string[] {
  return inForce().map(({ field }) => field);
}

/** Why the agent cannot run the task, as `field: reason` sentences; empty when it can. */
export function problemsWithoutRoot(task: Task): string[] {
  return inForce().flatMap((row) => [
    ...(row.inTask?.(task) ?? []).map((value) => sentence(row.field, value, row.reason)),
    ...(['initContainers', 'containers'] as const).flatMap((list) =>
      (task.spec[list] ?? []).flatMap((container, index) => {
        const field = row.field.replace(PREFIX, `spec.${list}[${index}].`);
        return (row.inContainer?.(container, task) ?? []).map((value) => sentence(field, value, row.reason));
      }),
    ),
  ]);
}

function inForce(): Refusal[] {
  return refusals.filter(({ applies }) => applies?.() ?? true);
}

function sentence(field: string, value: string, reason: string): string {
  return `${field}: ${value === '' ? '' : `${value} `}needs an agent with root: ${reason}`;
}

function otherUser(user: string | undefined): string[] {
  return user === undefined || ['root', '0', '0:0', 'root:root', '0:root', 'root:0'].includes(user) ? [] : [user];
}

function firstUnprivilegedPort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    return 1024;
  }
}

/** The lines of /proc/self/limits, by their numbers in asm-generic/resource.h. */
// biome-ignore format: rows
const limitLines = [
  'Max cpu time', 'Max file size', 'Max data size', 'Max stack size', 'Max core file size', 'Max resident set', 'Max processes', 'Max open files',
  'Max locked memory', 'Max address space', 'Max file locks', 'Max pending signals', 'Max msgqueue size', 'Max nice priority',
  'Max realtime priority', 'Max realtime timeout',
];

/** Infinity for one that is none, or not known: the launch then says what is wrong. */
function ownHardLimit(type: string): number {
  const line = limitLines[rlimitNumbers[type] ?? -1];
  const found = line === undefined ? undefined : new RegExp(`^${line} +\\S+ +(\\S+)`, 'm').exec(ownLimits())?.[1];
  return found === undefined || found === 'unlimited' ? Infinity : Number(found);
}

function ownLimits(): string {
  return readFileSync('/proc/self/limits', 'utf8');
}
