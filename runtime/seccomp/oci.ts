/** A seccomp profile in the form of an OCI runtime configuration: the entries that apply to this machine and container, conditions and all. Pure. */
import type { Entry, SeccompProfile } from './profile.ts';
import { entriesFor, type SeccompContext } from './select.ts';

export interface OciSeccomp {
  defaultAction: string;
  defaultErrnoRet?: number;
  syscalls: {
    names: string[];
    action: string;
    errnoRet?: number;
    args?: { index: number; value: unknown; valueTwo: unknown; op: string }[];
  }[];
}

/** `number` writes a whole number of 64 bits into the JSON. */
export function toOciSeccomp(
  profile: SeccompProfile,
  context: SeccompContext,
  number: (value: bigint) => unknown,
): OciSeccomp {
  const fallback = actionOf(profile.defaultReturns);
  return {
    defaultAction: fallback.action,
    ...(fallback.errnoRet !== undefined && { defaultErrnoRet: fallback.errnoRet }),
    syscalls: entriesFor(profile, context).map((entry) => ({
      names: entry.names,
      ...actionOf(entry.returns),
      ...(entry.args.length > 0 && { args: entry.args.map((argument) => condition(argument, number)) }),
    })),
  };
}

function condition({ index, value, valueTwo, op }: Entry['args'][number], number: (value: bigint) => unknown) {
  return { index, value: number(value), valueTwo: number(valueTwo), op };
}

/** The kernel's return value of a filter: the action above, an errno in the lower half (linux/seccomp.h). */
function actionOf(returns: number): { action: string; errnoRet?: number } {
  const low = returns & 0xffff;
  switch (Math.floor(returns / 0x10000)) {
    case 0x0000:
      return { action: 'SCMP_ACT_KILL_THREAD' };
    case 0x8000:
      return { action: 'SCMP_ACT_KILL_PROCESS' };
    case 0x0003:
      return { action: 'SCMP_ACT_TRAP' };
    case 0x0005:
      return { action: 'SCMP_ACT_ERRNO', errnoRet: low };
    case 0x7ff0:
      return { action: 'SCMP_ACT_TRACE', errnoRet: low };
    case 0x7ffc:
      return { action: 'SCMP_ACT_LOG' };
    default:
      return { action: 'SCMP_ACT_ALLOW' };
  }
}
