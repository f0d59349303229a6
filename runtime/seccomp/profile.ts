/** Reads a seccomp profile in Docker's JSON format (OCI's is accepted too). Every complaint names the place. */
import { readFile } from 'node:fs/promises';

export type CompareOp =
  | 'SCMP_CMP_NE'
  | 'SCMP_CMP_LT'
  | 'SCMP_CMP_LE'
  | 'SCMP_CMP_EQ'
  | 'SCMP_CMP_GE'
  | 'SCMP_CMP_GT'
  | 'SCMP_CMP_MASKED_EQ';

export interface Condition {
  /** Which argument: 0 to 5. */
  index: number;
  /** For MASKED_EQ: the mask. */
  value: bigint;
  /** For MASKED_EQ: what the masked argument must be. */
  valueTwo: bigint;
  op: CompareOp;
}

/** When an entry applies. `arches` are Go's names (amd64, arm64), capabilities have their CAP_ prefix. */
export interface Filter {
  caps: string[];
  arches: string[];
  minKernel?: string;
}

export interface Entry {
  names: string[];
  /** What the kernel's filter returns, action and errno in one number. */
  returns: number;
  args: Condition[];
  includes: Filter;
  excludes: Filter;
}

export interface SeccompProfile {
  defaultReturns: number;
  /** SCMP_ARCH_* names; empty: any. */
  architectures: string[];
  entries: Entry[];
}

export class InvalidSeccompProfile extends Error {
  override name = 'InvalidSeccompProfile';
}

const EPERM = 1;
const MAX_ERRNO = 4095;
const actions: Record<string, number> = {
  SCMP_ACT_KILL: 0x0000_0000,
  SCMP_ACT_KILL_THREAD: 0x0000_0000,
  SCMP_ACT_KILL_PROCESS: 0x8000_0000,
  SCMP_ACT_TRAP: 0x0003_0000,
  SCMP_ACT_ERRNO: 0x0005_0000,
  SCMP_ACT_TRACE: 0x7ff0_0000,
  SCMP_ACT_LOG: 0x7ffc_0000,
  SCMP_ACT_ALLOW: 0x7fff_0000,
};
const compareOps = new Set<string>(['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map((op) => `SCMP_CMP_${op}`));

export async function readSeccompProfile(path: string): Promise<SeccompProfile> {
  return parseSeccompProfile(await readFile(path, 'utf8'), path);
}

/** `source` names the profile in complaints. */
export function parseSeccompProfile(text: string, source = 'seccomp profile'): SeccompProfile {
  try {
    return profile(JSON.parse(text, exactIntegers));
  } catch (error) {
    throw new InvalidSeccompProfile(`${source}: ${(error as Error).message}`, { cause: error });
  }
}

/** Masks are 64 bits wide: more than a JavaScript number holds. */
function exactIntegers(_key: string, value: unknown, context?: { source?: string }): unknown {
  const exact = typeof value === 'number' && !Number.isSafeInteger(value) && /^\d+$/.test(context?.source ?? '');
  return exact ? BigInt(context!.source!) : value;
}

type Fields = Record<string, unknown>;

function profile(value: unknown): SeccompProfile {
  const fields = object(value, 'the profile');
  if (fields.listenerPath) throw new Error('listenerPath: user notification is not supported');
  const architectures = [
    ...strings(fields.architectures, 'architectures'),
    ...array(fields.archMap, 'archMap').map((entry, i) =>
      string(object(entry, `archMap[${i}]`).architecture, `archMap[${i}].architecture`),
    ),
  ];
  return {
    defaultReturns: returns(fields.defaultAction, fields.defaultErrnoRet, 'defaultAction', 'defaultErrnoRet'),
    architectures,
    entries: array(fields.syscalls, 'syscalls').map((entry, i) =>
      syscallEntry(object(entry, `syscalls[${i}]`), `syscalls[${i}]`),
    ),
  };
}

function syscallEntry(fields: Fields, place: string): Entry {
  const names =
    fields.name === undefined ? strings(fields.names, `${place}.names`) : [string(fields.name, `${place}.name`)];
  if (names.length === 0) throw new Error(`${place}.names: must name at least one system call`);
  return {
    names,
    returns: returns(fields.action, fields.errnoRet, `${place}.action`, `${place}.errnoRet`),
    args: array(fields.args, `${place}.args`).map((arg, i) =>
      condition(object(arg, `${place}.args[${i}]`), `${place}.args[${i}]`),
    ),
    includes: filter(fields.includes, `${place}.includes`),
    excludes: filter(fields.excludes, `${place}.excludes`),
  };
}

function returns(action: unknown, errno: unknown, actionPlace: string, errnoPlace: string): number {
  const name = string(action, actionPlace);
  if (name === 'SCMP_ACT_NOTIFY')
    throw new Error(`${actionPlace}: user notification (SCMP_ACT_NOTIFY) is not supported`);
  const base = actions[name];
  if (base === undefined)
    throw new Error(`${actionPlace}: "${name}" is no action; known are ${Object.keys(actions).join(', ')}`);
  if (name !== 'SCMP_ACT_ERRNO' && name !== 'SCMP_ACT_TRACE') return base;
  const number = errno === undefined || errno === null ? EPERM : Number(integer(errno, errnoPlace));
  if (number > MAX_ERRNO) throw new Error(`${errnoPlace}: must be between 0 and ${MAX_ERRNO}`);
  return base + number;
}

function condition(fields: Fields, place: string): Condition {
  const index = Number(integer(fields.index, `${place}.index`));
  if (index > 5) throw new Error(`${place}.index: a system call has arguments 0 to 5`);
  const op = string(fields.op, `${place}.op`);
  if (!compareOps.has(op))
    throw new Error(`${place}.op: "${op}" is no comparison; known are ${[...compareOps].join(', ')}`);
  return {
    index,
    value: integer(fields.value ?? 0, `${place}.value`),
    valueTwo: integer(fields.valueTwo ?? 0, `${place}.valueTwo`),
    op: op as CompareOp,
  };
}

function filter(value: unknown, place: string): Filter {
  if (value === undefined || value === null) return { caps: [], arches: [] };
  const fields = object(value, place);
  const minKernel = fields.minKernel === undefined ? undefined : string(fields.minKernel, `${place}.minKernel`);
  if (minKernel !== undefined && !/^\d+\.\d+$/.test(minKernel))
    throw new Error(`${place}.minKernel: must be like "5.12"`);
  return {
    caps: strings(fields.caps, `${place}.caps`),
    arches: strings(fields.arches, `${place}.arches`),
    ...(minKernel !== undefined && { minKernel }),
  };
}

function object(value: unknown, place: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${place}: must be an object`);
  return value as Fields;
}

function array(value: unknown, place: string): unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Error(`${place}: must be a list`);
  return value;
}

function strings(value: unknown, place: string): string[] {
  return array(value, place).map((entry, i) => string(entry, `${place}[${i}]`));
}

function string(value: unknown, place: string): string {
  if (typeof value !== 'string' || value === '') throw new Error(`${place}: must be a text`);
  return value;
}

function integer(value: unknown, place: string): bigint {
  const exact = typeof value === 'bigint' || (Number.isSafeInteger(value) && (value as number) >= 0);
  if (!exact || BigInt(value as number) >= 1n << 64n)
    throw new Error(`${place}: must be a whole number of at most 64 bits`);
  return BigInt(value as number);
}
