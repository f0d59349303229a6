/**
 * Who dies first when the whole machine runs out of memory: containers that may use more than they asked for, by the share of memory
 * they did not ask for (Mesos's formula). Always set, so that a protected agent does not hand its own protection down.
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { inOwnUserNamespace } from '../rootless/state.ts';
import type { ContainerSpec, Isolator } from './isolator.ts';

export function oomScoreIsolator(lowest = lowestScore(), totalBytes = totalmem()): Isolator {
  return {
    name: 'oom-score',
    contribute: (spec) => ({
      privileges: [{ op: 'oomScoreAdj', value: Math.max(oomScore(spec, totalBytes), lowest) }],
    }),
  };
}

export function oomScore(
  { resources: { requests, limits } }: Pick<ContainerSpec, 'resources'>,
  totalBytes: number,
): number {
  const limit = limits.memBytes ?? requests.memBytes;
  if (limit <= requests.memBytes) return 0;
  return Math.min(1000, Math.max(0, Math.round(1000 - (1000 * requests.memBytes) / totalBytes)));
}

/** Going below the inherited value takes CAP_SYS_RESOURCE on the machine, which an agent in a container, or without root, lacks. */
function lowestScore(): number {
  const own = Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
  const effective = BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`);
  const capSysResource = 1n << 24n;
  return effective & capSysResource && !inOwnUserNamespace() ? 0 : Math.max(0, own);
}
