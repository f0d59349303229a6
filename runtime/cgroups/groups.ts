/** Directories below our root, the same for every hierarchy. */
import { readdirSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode, readPids, removeGroup } from './files.ts';

/** Of the resident launcher. Names that begin with `_` are no container's. */
export const launcherGroup = '_launcher';

/** Names of the groups directly below a directory. */
export function listGroups(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Ids of the processes of a group and of those below it: an OCI runtime makes one of its own there. */
export function processesOf(directory: string): number[] {
  return [
    ...readPids(`${directory}/cgroup.procs`),
    ...listGroups(directory).flatMap((child) => processesOf(`${directory}/${child}`)),
  ];
}

/** Removes a group and the groups below it, as soon as their processes are gone. */
export async function removeTree(directory: string): Promise<void> {
  for (const child of listGroups(directory)) await removeTree(`${directory}/${child}`);
  await removeGroup(directory);
}

/** Removes `<hierarchy>/<root>` and its parents as far as they are empty. A launcher that was killed has left its group, one that runs is in it. */
export function removeEmptyPath(hierarchy: string, root: string): void {
  try {
    rmdirSync(`${hierarchy}/${root}/${launcherGroup}`);
  } catch {
    // Not there, or not empty: then neither is what is above it.
  }
  for (let path = root; path !== '.' && path !== ''; path = dirname(path)) {
    try {
      rmdirSync(`${hierarchy}/${path}`);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') return;
    }
  }
}
