/** From a seccomp profile to the program that the launcher installs. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { emitProgram } from './bpf.ts';
import { InvalidSeccompProfile, parseSeccompProfile, type SeccompProfile } from './profile.ts';
import { type SeccompContext, selectRules } from './select.ts';
import { loadSyscallNumbers, nativeArch } from './syscalls.ts';

export { InvalidSeccompProfile, parseSeccompProfile, readSeccompProfile, type SeccompProfile } from './profile.ts';

const MAX_INSTRUCTIONS = 4096;
const cache = new Map<string, Uint8Array>();
let parsedDefault: SeccompProfile | undefined;

/** The profile that containers get unless their document says otherwise. */
export function defaultSeccompProfile(): SeccompProfile {
  const path = fileURLToPath(new URL('default-profile.json', import.meta.url));
  parsedDefault ??= parseSeccompProfile(readFileSync(path, 'utf8'), 'default-profile.json');
  return parsedDefault;
}

/**
 * The filter for a container with these capabilities (its bounding set, names with or without CAP_) on this machine. Programs are kept by
 * a hash of all that they depend on. Rejects with InvalidSeccompProfile.
 */
export async function compileSeccompProfile(
  profile: SeccompProfile,
  { capabilities, kernel = release() }: { capabilities: string[]; kernel?: string },
): Promise<Uint8Array> {
  const context: SeccompContext = { arch: nativeArch(), kernel, capabilities: [...capabilities].sort() };
  const text = JSON.stringify([profile, context], (_key, value) => (typeof value === 'bigint' ? `${value}n` : value));
  const key = createHash('sha256').update(text).digest('hex');
  const known = cache.get(key);
  if (known) return known;
  const numbers = await loadSyscallNumbers();
  const program = emitProgram(
    context.arch,
    selectRules(profile, context, numbers),
    Math.max(...numbers.values()),
    profile.defaultReturns,
  );
  if (program.length / 8 > MAX_INSTRUCTIONS) {
    throw new InvalidSeccompProfile(
      `the seccomp profile makes ${program.length / 8} instructions; the kernel takes ${MAX_INSTRUCTIONS}`,
    );
  }
  cache.set(key, program);
  return program;
}
