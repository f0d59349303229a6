/**
 * Sandboxes: one directory per task, `<root>/<namespace>/<task>/runs/<groupId>`, with a link `latest` beside them. It is the sandbox of a
 * container that is alone; in a group it is root's, and container NAME has `containers/NAME` in it. Only the container's own directory
 * belongs to its user, so a container cannot replace any part of the path to it. Restarts in place go on in the same sandbox.
 */
import { chmod, chown, mkdir, readdir, readlink, rename, rm, rmdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { openDirectory } from '../../volumes/anchored.ts';
import { removeTree } from '../../volumes/remove-tree.ts';

export interface SandboxKey {
  namespace: string;
  task: string;
  groupId: string;
}

/** Where the sandbox of a run is. Throws when a name could leave the root. */
export function sandboxPath(root: string, key: SandboxKey): string {
  return join(taskPath(root, key), 'runs', segment(key.groupId));
}

/** Makes the sandbox (an existing one is accepted) and points `latest` to it. */
export async function createSandbox(
  root: string,
  key: SandboxKey,
  owner: { uid: number; gid: number },
): Promise<string> {
  const path = sandboxPath(root, key);
  await mkdir(path, { recursive: true, mode: 0o755 });
  await Promise.all([own(path, owner), pointLatest(root, key)]);
  return path;
}

/** Where a container of the group has its sandbox. */
export function memberSandbox(groupSandbox: string, name: string): string {
  return join(groupSandbox, 'containers', segment(name));
}

/** Makes the sandbox of one container of a group; an existing one is accepted. */
export async function createMemberSandbox(
  root: string,
  key: SandboxKey,
  name: string,
  owner: { uid: number; gid: number },
): Promise<string> {
  const path = memberSandbox(sandboxPath(root, key), name);
  await mkdir(path, { recursive: true, mode: 0o755 });
  await Promise.all([own(path, owner), pointLatest(root, key)]);
  return path;
}

/** Removes the run and what of the path to it is then empty. Idempotent. */
export async function removeSandbox(root: string, key: SandboxKey): Promise<void> {
  const base = taskPath(root, key);
  await rm(sandboxPath(root, key), { recursive: true, force: true, maxRetries: 2 }).catch((error) =>
    removeDeep(join(base, 'runs'), key.groupId, error),
  );
  const latest = join(base, 'latest');
  const target = await readlink(latest).catch(() => undefined);
  if (target === join('runs', key.groupId)) await rm(latest, { force: true });
  await rm(unfinishedLatest(base, key), { force: true });
  await removePath(root, key);
}

/**
 * Removes what is left of the paths to sandboxes that are gone: an agent was killed while it removed, or made, one. For the start of an agent: nobody may
 * be making a sandbox.
 */
export async function removeEmptyPaths(root: string): Promise<void> {
  for (const namespace of await names(root)) {
    for (const task of await names(join(root, namespace))) {
      const base = join(root, namespace, task);
      if ((await names(join(base, 'runs'))).length > 0) continue;
      const links = (await names(base)).filter((name) => name === 'latest' || name.startsWith('latest.'));
      for (const name of links) await rm(join(base, name), { force: true });
      await removePath(root, { namespace, task });
    }
    await removeIfEmpty(join(root, namespace));
  }
}

async function removePath(root: string, key: Pick<SandboxKey, 'namespace' | 'task'>): Promise<void> {
  const base = taskPath(root, key);
  for (const directory of [join(base, 'runs'), base, join(root, key.namespace)]) {
    if (!(await removeIfEmpty(directory))) return;
  }
}

/** Every run that has a directory, for finding those that no record knows. */
export async function listSandboxes(root: string): Promise<SandboxKey[]> {
  const found: SandboxKey[] = [];
  for (const namespace of await names(root)) {
    for (const task of await names(join(root, namespace))) {
      for (const groupId of await names(join(root, namespace, task, 'runs'))) found.push({ namespace, task, groupId });
    }
  }
  return found;
}

/** A task can nest directories deeper than a path is long. */
async function removeDeep(runs: string, containerId: string, error: NodeJS.ErrnoException): Promise<void> {
  if (error.code !== 'ENAMETOOLONG') throw error;
  const directory = await openDirectory(runs);
  try {
    await removeTree(directory, containerId, `.removing-${containerId}-`);
  } finally {
    await directory.close();
  }
}

async function own(path: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  await chown(path, uid, gid);
  await chmod(path, 0o750);
}

async function pointLatest(root: string, key: SandboxKey): Promise<void> {
  const base = taskPath(root, key);
  const latest = join(base, 'latest');
  const target = join('runs', key.groupId);
  try {
    await symlink(target, latest);
  } catch {
    // There is one of an earlier run: put the new one in its place in one step.
    const temporary = unfinishedLatest(base, key);
    await rm(temporary, { force: true });
    await symlink(target, temporary);
    await rename(temporary, latest);
  }
}

function unfinishedLatest(base: string, { groupId }: SandboxKey): string {
  return join(base, `latest.${groupId}`);
}

/** Also true when it was not there: a removal that was cut short goes on with what is above it. */
function removeIfEmpty(directory: string): Promise<boolean> {
  return rmdir(directory).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}

async function names(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

function taskPath(root: string, key: Pick<SandboxKey, 'namespace' | 'task'>): string {
  return join(root, segment(key.namespace), segment(key.task));
}

function segment(name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name))
    throw new Error(`"${name}" cannot be part of a sandbox path`);
  return name;
}
