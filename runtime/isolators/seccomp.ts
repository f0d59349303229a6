/** Filter of system calls: the default profile, a profile file of the operator's, or none. Compiled programs are kept. */
import { realpathSync, statSync } from 'node:fs';
import type { Operation } from '../launcher/operations.ts';
import {
  compileSeccompProfile,
  defaultSeccompProfile,
  readSeccompProfile,
  type SeccompProfile,
} from '../seccomp/compile.ts';
import { keepProjects, keepProjectsWithoutOrder } from '../seccomp/keep-projects.ts';
import { type BoundingNames, boundingNames } from './capabilities.ts';
import { type ContainerSpec, IsolationRefused, type Isolator, type IsolatorHost } from './isolator.ts';
import { hasNoNewPrivileges } from './no-new-privileges.ts';
import { isPrivileged } from './privileged.ts';

export function seccompIsolator({ seccompDirectory, policy }: IsolatorHost): Isolator {
  const programs = new Map<string, Uint8Array>();
  const bounding: BoundingNames = boundingNames(policy);
  return {
    name: 'linux/seccomp',
    asks: ({ security }) => (security?.seccompProfile?.type === 'Localhost' ? 'security.seccompProfile' : undefined),
    load(spec) {
      const source = profileOf(spec, seccompDirectory);
      if (!source) return undefined;
      const key = keyOf(spec, source, bounding(spec));
      if (programs.has(key)) return undefined;
      return compile(spec, source, bounding(spec)).then((program) => {
        programs.set(key, program);
      });
    },
    contribute(spec) {
      const source = profileOf(spec, seccompDirectory);
      if (!source) return {};
      const operation: Operation = { op: 'seccomp', program: programs.get(keyOf(spec, source, bounding(spec)))! };
      // Without no-new-privileges only a privileged process may install a filter; with it, the filter comes as late as possible, so that a
      // profile need not allow what the launcher itself still has to do.
      return hasNoNewPrivileges(spec) ? { lockdown: [operation] } : { privileges: [operation] };
    },
  };
}

interface ProfileSource {
  /** Absent: the default profile. */
  file?: string;
  /** Changes when the file does. */
  version: string;
}

function profileOf(spec: ContainerSpec, directory: string | undefined): ProfileSource | undefined {
  const { type = 'RuntimeDefault', localhostProfile } = spec.container.security?.seccompProfile ?? {};
  if (type === 'Unconfined' || (type === 'RuntimeDefault' && isPrivileged(spec))) return undefined;
  if (type === 'RuntimeDefault') return { version: 'default' };
  const field = 'security.seccompProfile.localhostProfile';
  if (!localhostProfile) throw new IsolationRefused(`${field}: is missing`);
  if (!directory) throw new IsolationRefused(`${field}: this agent has no directory for seccomp profiles`);
  const file = fileBelow(directory, localhostProfile, field);
  const { mtimeMs, size, ino } = statSync(file);
  return { file, version: `${file}:${ino}:${mtimeMs}:${size}` };
}

/** Symbolic links are followed as long as they stay below the directory. */
function fileBelow(directory: string, name: string, field: string): string {
  if (name.startsWith('/') || name.split('/').includes('..')) {
    throw new IsolationRefused(`${field}: "${name}" must be relative and without ".."`);
  }
  try {
    const file = realpathSync(`${directory}/${name}`);
    if (file.startsWith(`${realpathSync(directory)}/`) && statSync(file).isFile()) return file;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
  }
  throw new IsolationRefused(`${field}: there is no profile "${name}" in the agent's seccomp directory`);
}

/**
 * The profile that the document asks for, for a runtime that compiles it with libseccomp; undefined for none. Rejects with IsolationRefused or
 * InvalidSeccompProfile.
 */
export async function seccompProfileOf(
  spec: ContainerSpec,
  directory: string | undefined,
): Promise<SeccompProfile | undefined> {
  const source = profileOf(spec, directory);
  if (!source) return undefined;
  const profile = await read(source);
  return mustKeepProjects(spec) ? keepProjectsWithoutOrder(profile) : profile;
}

async function read({ file }: ProfileSource): Promise<SeccompProfile> {
  return file === undefined ? defaultSeccompProfile() : readSeccompProfile(file);
}

async function compile(spec: ContainerSpec, source: ProfileSource, capabilities: string[]): Promise<Uint8Array> {
  const profile = await read(source);
  return compileSeccompProfile(mustKeepProjects(spec) ? keepProjects(profile) : profile, { capabilities });
}

/** In a user namespace the kernel itself lets nobody change a file's project. */
function mustKeepProjects({ onProjectQuota, userNamespace }: ContainerSpec): boolean {
  return onProjectQuota === true && userNamespace === undefined;
}

/** What a profile allows may depend on the capabilities that the container can have. */
function keyOf(spec: ContainerSpec, { version }: ProfileSource, capabilities: string[]): string {
  return `${version} ${mustKeepProjects(spec)} ${capabilities.join(',')}`;
}
