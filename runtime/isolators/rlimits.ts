/** POSIX resource limits. Without a rule the container has the agent's limits. */
import type { TaskContainer } from '../../crds/types.generated.ts';
import { type Operation, RLIMIT_UNLIMITED } from '../launcher/operations.ts';
import { refusalsOf } from '../refusals-of.ts';
import { IsolationRefused, type Isolator, type IsolatorHost } from './isolator.ts';

/** Mesos's names and the numbers of asm-generic/resource.h, which x86-64 and arm64 share. */
export const rlimitNumbers: Record<string, number> = {
  RLMT_CPU: 0,
  RLMT_FSIZE: 1,
  RLMT_DATA: 2,
  RLMT_STACK: 3,
  RLMT_CORE: 4,
  RLMT_RSS: 5,
  RLMT_NPROC: 6,
  RLMT_NOFILE: 7,
  RLMT_MEMLOCK: 8,
  RLMT_AS: 9,
  RLMT_LOCKS: 10,
  RLMT_SIGPENDING: 11,
  RLMT_MSGQUEUE: 12,
  RLMT_NICE: 13,
  RLMT_RTPRIO: 14,
  RLMT_RTTIME: 15,
};

/** With these a task could take the processors from everything else on the host: they go with the capability. */
const SCHEDULING = new Set(['RLMT_NICE', 'RLMT_RTPRIO']);

export function rlimitsIsolator({ policy }: Pick<IsolatorHost, 'policy'>): Isolator {
  const operations = ({ rlimits = [] }: Pick<TaskContainer, 'rlimits'>): Operation[] => {
    const refused = rlimits.findIndex(({ type }) => SCHEDULING.has(type));
    if (refused >= 0 && !policy().boundingCapabilities?.includes('SYS_NICE'))
      throw new IsolationRefused(
        `rlimits[${refused}].type: ${rlimits[refused]?.type} needs an agent whose spec.isolation.boundingCapabilities has SYS_NICE`,
      );
    return rlimits.map(toOperation);
  };
  return {
    name: 'posix/rlimits',
    asks: ({ rlimits }) => ((rlimits?.length ?? 0) > 0 ? 'rlimits' : undefined),
    problems: (container) => refusalsOf(IsolationRefused, () => operations(container)),
    contribute: ({ container }) => ({ privileges: operations(container) }),
  };
}

function toOperation(rlimit: { type: string; soft?: number; hard?: number }, index: number): Operation {
  const field = `rlimits[${index}]`;
  const resource = rlimitNumbers[rlimit.type];
  if (resource === undefined) throw new IsolationRefused(`${field}.type: ${rlimit.type} is no resource limit`);
  const { soft, hard } = rlimit;
  // As in Mesos: both or neither, and neither means unlimited.
  if ((soft === undefined) !== (hard === undefined))
    throw new IsolationRefused(`${field}: give both soft and hard, or neither`);
  if (soft === undefined || hard === undefined) {
    return { op: 'rlimit', resource, soft: RLIMIT_UNLIMITED, hard: RLIMIT_UNLIMITED };
  }
  if (soft > hard) throw new IsolationRefused(`${field}: soft ${soft} is above hard ${hard}`);
  return { op: 'rlimit', resource, soft: BigInt(soft), hard: BigInt(hard) };
}
