/** Which of a profile's entries apply here, arranged by system call number. */
import type { Condition, Entry, Filter, SeccompProfile } from './profile.ts';
import { InvalidSeccompProfile } from './profile.ts';
import type { SeccompArch } from './syscalls.ts';

/** What a profile's conditions are about. */
export interface SeccompContext {
  arch: SeccompArch;
  /** As `uname -r` says it. */
  kernel: string;
  /** The container's bounding set; names with or without the CAP_ prefix. */
  capabilities: string[];
}

/** If all conditions hold, the filter returns this. */
export interface Rule {
  conditions: Condition[];
  returns: number;
}

const scmpNames: Record<SeccompArch, string> = { x86_64: 'SCMP_ARCH_X86_64', aarch64: 'SCMP_ARCH_AARCH64' };
const goNames: Record<SeccompArch, string> = { x86_64: 'amd64', aarch64: 'arm64' };

/** For each number the rules in the order in which they are tried; after an unconditional one nothing can follow. */
export function selectRules(
  profile: SeccompProfile,
  context: SeccompContext,
  numbers: Map<string, number>,
): Map<number, Rule[]> {
  const rules = new Map<number, Rule[]>();
  for (const entry of entriesFor(profile, context)) {
    for (const name of entry.names) {
      const number = numbers.get(name);
      if (number === undefined) continue; // of another architecture, or newer than the headers: its number, if any, gets the default
      const chain = rules.get(number) ?? [];
      rules.set(number, chain);
      for (const rule of alternatives(entry)) {
        if (chain.at(-1)?.conditions.length !== 0) chain.push(rule);
      }
    }
  }
  return rules;
}

/** The entries that apply to this machine and container. Throws InvalidSeccompProfile for a profile of another architecture. */
export function entriesFor(profile: SeccompProfile, context: SeccompContext): Entry[] {
  const { architectures } = profile;
  if (architectures.length > 0 && !architectures.includes(scmpNames[context.arch])) {
    throw new InvalidSeccompProfile(
      `the seccomp profile is not for this machine: it names ${architectures.join(', ')}, not ${scmpNames[context.arch]}`,
    );
  }
  const caps = new Set(context.capabilities.map((name) => (name.startsWith('CAP_') ? name : `CAP_${name}`)));
  return profile.entries.filter((entry) => applies(entry, context, caps));
}

function applies({ includes, excludes }: Entry, context: SeccompContext, caps: Set<string>): boolean {
  const arch = goNames[context.arch];
  if (excludes.arches.includes(arch) || excludes.caps.some((cap) => caps.has(cap))) return false;
  if (excludes.minKernel !== undefined && isAtLeast(context.kernel, excludes)) return false;
  if (includes.arches.length > 0 && !includes.arches.includes(arch)) return false;
  return includes.caps.every((cap) => caps.has(cap)) && isAtLeast(context.kernel, includes);
}

function isAtLeast(kernel: string, { minKernel = '0.0' }: Filter): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map(Number.parseFloat);
  const [wantedMajor = 0, wantedMinor = 0] = minKernel.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** Conditions on different arguments must all hold; several on one argument are alternatives. */
function alternatives({ args, returns }: Entry): Rule[] {
  const repeated = new Set(args.map((arg) => arg.index)).size < args.length;
  return repeated ? args.map((arg) => ({ conditions: [arg], returns })) : [{ conditions: args, returns }];
}
