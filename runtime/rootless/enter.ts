/**
 * From a user's process to root of a user namespace: this process becomes the launcher's role `rootless`, and that becomes this same command again,
 * inside. Pid, descriptors and environment stay, so that signals and exit codes need nobody to hand them on.
 */
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { agentPaths } from '../agent/node/paths.ts';
import { buildLauncher, knownBuilds } from '../launcher/build.ts';
import { loadSyscallNumbers } from '../seccomp/syscalls.ts';
import { checkUnified, findDelegatedCgroup, moveToLeaf } from './delegated-cgroup.ts';
import { defaultRuntimeRoot } from './directories.ts';
import { RootlessImpossible } from './impossible.ts';
import { livingProcesses } from './living.ts';
import { placeOfCgroup } from './place.ts';
import { type RootlessState, STATE_VARIABLE } from './state.ts';
import { readIdMaps } from './subordinate-ids.ts';

export interface EnterOptions {
  /** Made (0700) when it is not there. */
  dataDir: string;
  /** Whether the command starts processes in containers: it has to be below the delegated cgroup then. */
  startsTasks: boolean;
}

/** Does not return. Throws RootlessImpossible, or LauncherBuildFailed, with one sentence, before anything is made. */
export async function enterRootless({ dataDir, startsTasks }: EnterOptions): Promise<never> {
  checkUnified();
  const runtimeRoot = ownRuntimeRoot();
  const living = existsSync(dataDir) ? livingProcesses(agentPaths(realpathSync(dataDir), runtimeRoot).runtimeDir) : [];
  const cgroup = living.length > 0 ? undefined : findDelegatedCgroup();
  const launcher = await buildLauncher();
  await loadSyscallNumbers();
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const { runtimeDir, instance } = agentPaths(realpathSync(dataDir), runtimeRoot);
  mkdirSync(runtimeDir, { recursive: true, mode: 0o700 });
  const place = placeOfCgroup(runtimeRoot, instance);
  const role = cgroup === undefined ? joinLiving(living, place, startsTasks) : makeNew(cgroup, place);
  const state: RootlessState = { uid: process.geteuid!(), home: homedir(), cgroup: place, programs: knownBuilds() };
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const env = { ...process.env, HOME: homedir(), [STATE_VARIABLE]: JSON.stringify(state) };
  process.execve!(launcher, ['tepui-launcher', 'rootless', ...role, ...again], env);
  throw new Error('execve returned');
}

function makeNew(cgroup: string, place: string): string[] {
  moveToLeaf(cgroup);
  mkdirSync(place, { recursive: true, mode: 0o700 });
  // For the next command, which may be started elsewhere.
  writeFileSync(`${place}.path`, cgroup, { mode: 0o600 });
  const { uid, gid, username } = userInfo();
  const { uids, gids, programs } = readIdMaps({ uid, gid, name: username });
  return ['new', cgroup, place, uids, gids, programs?.newuidmap ?? '', programs?.newgidmap ?? ''];
}

/** Tasks that run keep their cgroups, wherever this command was started. */
function joinLiving(living: readonly string[], place: string, startsTasks: boolean): string[] {
  const cgroup = readFileSync(`${place}.path`, 'utf8');
  try {
    moveToLeaf(cgroup);
  } catch (error) {
    if (startsTasks)
      throw new RootlessImpossible(
        `tasks of this data directory run below ${cgroup}, and this command cannot move there: ${(error as Error).message}`,
      );
  }
  return ['join', living.join(',')];
}

/** Sockets in it are as good as the launcher: nobody else may reach, or replace, them. */
function ownRuntimeRoot(): string {
  const root = defaultRuntimeRoot();
  const parent = join(root, '..');
  const found = lstatSync(parent, { throwIfNoEntry: false });
  if (!found?.isDirectory() || found.uid !== process.geteuid?.() || (found.mode & 0o022) !== 0)
    throw new RootlessImpossible(
      `XDG_RUNTIME_DIR: ${parent} is not a directory of yours that nobody else may write to: log in with a session of systemd or elogind, or set it to one on a tmpfs`,
    );
  mkdirSync(root, { recursive: true, mode: 0o700 });
  return root;
}
