/** Mounts that the agent makes on the host, for directories that only root reaches. */
import { lstat, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type MountInfo, parseMountInfo } from '../host/mount-info.ts';
import { CommandFailed, runCommand } from './run-command.ts';

export interface TmpfsOptions {
  /** Absent: the kernel's default, half of the machine's memory. */
  sizeBytes?: number;
  /** Of its top directory. */
  mode: number;
  /** Never written to swap, where the kernel can promise that (6.4 and later). */
  noSwap?: boolean;
}

let knowsNoSwap = true;

/** Mounts a new tmpfs, nosuid and nodev. */
export async function mountTmpfs(path: string, { sizeBytes, mode, noSwap = false }: TmpfsOptions): Promise<void> {
  const data = [
    'nosuid',
    'nodev',
    `mode=${mode.toString(8)}`,
    ...(sizeBytes === undefined ? [] : [`size=${sizeBytes}`]),
  ];
  const mount = (extra: string[]): Promise<string> =>
    runCommand('mount', ['-n', '-t', 'tmpfs', '-o', [...data, ...extra].join(','), 'tepui', path]);
  if (!noSwap || !knowsNoSwap) {
    await mount([]);
    return;
  }
  try {
    await mount(['noswap']);
  } catch (error) {
    if (!(error instanceof CommandFailed) || error.missing) throw error;
    await mount([]);
    knowsNoSwap = false;
  }
}

/** Whether the path is a directory on which something is mounted (of another file system than its parent). */
export async function isMountPoint(path: string): Promise<boolean> {
  const [own, parent] = await Promise.all([lstat(path).catch(() => undefined), lstat(dirname(path))]);
  return own?.isDirectory() === true && own.dev !== parent.dev;
}

/** Takes mounts away, the last first. What a reader still has open goes when it closes it. */
export async function unmount(paths: string[]): Promise<void> {
  for (const path of paths.toReversed()) {
    await runCommand('umount', ['-n', path]).catch(() => runCommand('umount', ['-n', '-l', path]));
  }
}

/** What is mounted at the directory or below it in this process's mount namespace, outer ones first. */
export async function mountsBelow(directory: string): Promise<MountInfo[]> {
  return parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8')).filter(
    ({ path }) => path === directory || path.startsWith(`${directory}/`),
  );
}
