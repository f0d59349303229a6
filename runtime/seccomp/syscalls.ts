/** System call numbers of this machine, from its kernel headers. */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { cachedBuild, compile } from '../launcher/build.ts';

export type SeccompArch = 'x86_64' | 'aarch64';

/** Since 5.3 every architecture gives new calls the same number: known here, should the installed headers be older than the kernel. */
// biome-ignore format: a table
const unified: Record<string, number> = {
  open_tree: 428, move_mount: 429, fsopen: 430, fsconfig: 431, fsmount: 432, fspick: 433, pidfd_open: 434, clone3: 435, close_range: 436,
  openat2: 437, pidfd_getfd: 438, faccessat2: 439, process_madvise: 440, epoll_pwait2: 441, mount_setattr: 442, quotactl_fd: 443,
  landlock_create_ruleset: 444, landlock_add_rule: 445, landlock_restrict_self: 446, memfd_secret: 447, process_mrelease: 448,
  futex_waitv: 449, set_mempolicy_home_node: 450, cachestat: 451, fchmodat2: 452, map_shadow_stack: 453, futex_wake: 454, futex_wait: 455,
  futex_requeue: 456, statmount: 457, listmount: 458, lsm_get_self_attr: 459, lsm_set_self_attr: 460, lsm_list_self_modules: 461,
  mseal: 462, setxattrat: 463, getxattrat: 464, listxattrat: 465, removexattrat: 466, open_tree_attr: 467, file_getattr: 468,
  file_setattr: 469,
};

const archs: Partial<Record<NodeJS.Architecture, SeccompArch>> = { x64: 'x86_64', arm64: 'aarch64' };

export function nativeArch(): SeccompArch {
  const arch = archs[process.arch];
  if (!arch) throw new Error(`seccomp profiles are compiled for x86_64 and aarch64 only, not for ${process.arch}`);
  return arch;
}

let loaded: Promise<Map<string, number>> | undefined;

/** Names to numbers; generated once with the C compiler, then read from the launcher's build directory. */
export function loadSyscallNumbers(): Promise<Map<string, number>> {
  loaded ??= load();
  loaded.catch(() => {
    loaded = undefined;
  });
  return loaded;
}

async function load(): Promise<Map<string, number>> {
  const key = createHash('sha256').update(JSON.stringify(unified)).digest('hex').slice(0, 8);
  const path = await cachedBuild(`syscalls-${nativeArch()}-${key}.json`, async (output) => {
    const macros = await compile(['-E', '-dM', '-include', 'asm/unistd.h', '-x', 'c', '/dev/null']);
    await writeFile(output, JSON.stringify(Object.fromEntries(parseMacros(macros))));
  });
  return new Map(Object.entries(JSON.parse(await readFile(path, 'utf8')) as Record<string, number>));
}

/** `#define __NR_name 1`, or through another macro, as the generic table has it (`__NR_fcntl` is `__NR3264_fcntl`). */
export function parseMacros(text: string): Map<string, number> {
  const macros = new Map([...text.matchAll(/^#define (__NR\w*) (\w+)$/gm)].map(([, name, value]) => [name!, value!]));
  const numbers = new Map(Object.entries(unified));
  for (const name of macros.keys()) {
    let value = name as string | undefined;
    for (let hops = 0; value !== undefined && !/^\d+$/.test(value) && hops < 4; hops++) value = macros.get(value);
    const known = /^__NR_(?!syscalls$|arch_specific_syscall$)(\w+)$/.exec(name)?.[1];
    if (known && value !== undefined && /^\d+$/.test(value)) numbers.set(known, Number(value));
  }
  return numbers;
}
