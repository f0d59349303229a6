/**
 * Keeps a container from moving files between the projects of a disk quota: outside of a user namespace the kernel lets the owner of a file do that,
 * out of its own limit or into somebody else's. Pure.
 */
import { type Condition, type Entry, InvalidSeccompProfile, type SeccompProfile } from './profile.ts';

/** FS_IOC_FSSETXATTR sets a file's project; FS_IOC_SETFLAGS clears the flag by which what is in a directory gets the project of that (linux/fs.h). */
const requests = [0x401c_5820n, 0x4008_6602n];
/** The kernel takes the lower half of ioctl's request: with anything in the upper one it is the same call. */
const requestMask = 0xffff_ffffn;
const requestBits = 32n;
const requestArgument = 1;
const EPERM = 1;
const refuse = 0x0005_0000 + EPERM;
const always = { includes: { caps: [], arches: [] }, excludes: { caps: [], arches: [] } };

/** For our own compiler, where the first entry whose conditions hold decides. The new system call sets the same attributes. */
export function keepProjects(profile: SeccompProfile): SeccompProfile {
  return { ...profile, entries: [...refusals(), ...profile.entries] };
}

/**
 * For libseccomp (OCI runtimes, Docker), where an entry without conditions wins over all others for its call: ioctl is allowed for every other
 * request instead. Throws InvalidSeccompProfile for a profile whose own conditions on the request cannot be narrowed so.
 */
export function keepProjectsWithoutOrder(profile: SeccompProfile): SeccompProfile {
  const entries = profile.entries.flatMap((entry) => {
    const others = entry.names.filter((name) => name !== 'ioctl' && !(name === 'file_setattr' && allows(entry)));
    const isNarrowed = entry.names.includes('ioctl') && allows(entry);
    if (others.length === entry.names.length || (!isNarrowed && entry.names.includes('ioctl'))) return [entry];
    return [
      ...(others.length > 0 ? [{ ...entry, names: others }] : []),
      ...(isNarrowed ? narrowed({ ...entry, names: ['ioctl'] }) : []),
    ];
  });
  // Where everything is allowed that is not named, the two are named.
  return { ...profile, entries: isAllowing(profile.defaultReturns) ? [...entries, ...refusals()] : entries };
}

function refusals(): Entry[] {
  return [
    ...requests.map((request) => ({ names: ['ioctl'], returns: refuse, args: [isRequest(request)], ...always })),
    { names: ['file_setattr'], returns: refuse, args: [], ...always },
  ];
}

function isRequest(request: bigint): Condition {
  return maskedEqual(requestMask, request);
}

function maskedEqual(mask: bigint, value: bigint): Condition {
  return { index: requestArgument, value: mask, valueTwo: value, op: 'SCMP_CMP_MASKED_EQ' };
}

function allows({ returns }: Entry): boolean {
  return isAllowing(returns);
}

/** SECCOMP_RET_TRACE, _LOG and _ALLOW let the call be made, perhaps. */
function isAllowing(returns: number): boolean {
  return returns >= 0x7ff0_0000 && returns < 0x8000_0000;
}

/** The entry for every request but ours; several conditions on one argument are alternatives in a profile. */
function narrowed(entry: Entry): Entry[] {
  const onRequest = entry.args.filter(({ index }) => index === requestArgument);
  const others = entry.args.filter(({ index }) => index !== requestArgument);
  const withConditions = (conditions: Condition[]) =>
    conditions.map((condition) => ({ ...entry, args: [...others, condition] }));
  if (onRequest.length === 0) return withConditions(allBut(requests));
  return onRequest.flatMap((condition) => {
    const { op, value } = condition;
    const request = value & requestMask;
    if (op === 'SCMP_CMP_EQ') return requests.includes(request) ? [] : withConditions([condition]);
    if (op === 'SCMP_CMP_NE') return withConditions(allBut([...requests, request]));
    throw new InvalidSeccompProfile(
      `the seccomp profile allows ioctl by ${op} of its request, which cannot be put together with the disk quota of this agent; ` +
        'use SCMP_CMP_EQ or SCMP_CMP_NE',
    );
  });
}

/**
 * Conditions of which one holds exactly for each request that is not in the list: the list as a binary tree by bits from the highest; what is
 * left of it is whole branches.
 */
function allBut(list: bigint[], mask = 0n, prefix = 0n, bit = requestBits - 1n): Condition[] {
  if (list.length === 0) return [maskedEqual(mask, prefix)];
  if (bit < 0n) return [];
  const at = 1n << bit;
  const next = (value: bigint) =>
    allBut(
      list.filter((request) => (request & at) === value),
      mask | at,
      prefix | value,
      bit - 1n,
    );
  const [first, second] = [next(0n), next(at)];
  // The larger branch first: most requests are decided by its one condition.
  return first.length <= second.length ? [...first, ...second] : [...second, ...first];
}
