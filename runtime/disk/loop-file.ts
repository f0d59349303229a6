/**
 * A directory with a fixed size on any file system: an ext4 in a file, mounted through a loop device. The device frees itself with the mount
 * (`mount -o loop` sets autoclear), so what has to be taken away is the mount, and nothing else leaks.
 */
import { chmod, chown, lstat, mkdir, open, rename, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isMountPoint, mountsBelow, unmount } from '../volumes/mounts.ts';
import { CommandFailed, runCommand } from '../volumes/run-command.ts';

export interface LoopFileOptions {
  /** The file. Its directory is made when it is missing; nobody but root may reach it. */
  file: string;
  sizeBytes: number;
  /** An existing directory; empty, or hidden as long as the mount lasts. */
  mountPoint: string;
  /**
   * true, for data that stays: the disk's space is taken at once, so that writes never fail for lack of it later, and there is a journal.
   * Default: a sparse file without one.
   */
  reserve?: boolean;
  /** Of its top directory, when the file is made now. */
  owner: { uid: number; gid: number; mode: number };
}

/** mkfs makes none below 2 Mi, and up to this it would take most of the space. */
const smallestWithJournal = 16 * 2 ** 20;
/** Less is no ext4. */
export const SMALLEST_LOOP_FILE = 256 * 1024;

/**
 * Makes the file if it is missing and mounts it. Idempotent: the file appears under its name only complete, and what is mounted stays. An
 * existing file keeps its data, owner and size. Rejects with one clear sentence when a tool is missing or the size is too small.
 */
export async function mountLoopFile(options: LoopFileOptions): Promise<void> {
  const { file, mountPoint, owner } = options;
  if (!(await isMountPoint(mountPoint))) {
    if ((await stat(file).catch(() => undefined)) === undefined) await makeFile(options);
    await runCommand('mount', ['-n', '-t', 'ext4', '-o', 'loop,nosuid,nodev,noatime', file, mountPoint], {
      lock: file,
    });
  }
  // mkfs makes it. As long as it is there the file system is as new, and a call before this one may have been cut short.
  const mark = join(mountPoint, 'lost+found');
  const found = await lstat(mark).catch(() => undefined);
  if (found === undefined || found.uid !== 0 || !found.isDirectory()) return;
  await chown(mountPoint, owner.uid, owner.gid);
  await chmod(mountPoint, owner.mode);
  await rmdir(mark).catch(() => {});
}

/** Takes the mount away; the file stays. Idempotent. What else is mounted there is not ours, and stays. */
export async function unmountLoopFile(mountPoint: string): Promise<void> {
  if (!(await isMountPoint(mountPoint).catch(() => false))) return;
  const mounted = (await mountsBelow(mountPoint)).findLast(({ path }) => path === mountPoint);
  if (mounted?.source.startsWith('/dev/loop')) await unmount([mountPoint]);
}

/** Takes the file away, with what a call that was killed while it made the file left. Nothing of it is mounted. Idempotent. */
export async function removeLoopFile(file: string): Promise<void> {
  for (const path of [unfinishedFile(file), file]) await rm(path, { force: true });
}

/**
 * Makes file and file system larger. A smaller size changes nothing. Resolves to the size it has then. Idempotent, also after a call that was killed
 * when only the file was larger. While it is mounted the kernel asks for CAP_SYS_RESOURCE: without it, it rejects until nobody uses the volume.
 */
export async function growLoopFile({
  file,
  mountPoint,
  sizeBytes,
  reserve,
}: Omit<LoopFileOptions, 'owner'>): Promise<number> {
  const { size } = await stat(file);
  if (sizeBytes > size) await setSize(file, sizeBytes, reserve === true);
  const actual = Math.max(size, sizeBytes);
  if (await isMountPoint(mountPoint)) {
    const device = await loopDeviceOf(file);
    await runCommand('losetup', ['-c', device]);
    await runCommand('resize2fs', [device]);
  } else {
    await runCommand('e2fsck', ['-f', '-p', file], { lock: file }).catch((error: unknown) => {
      // 1: errors were corrected.
      if (!(error instanceof CommandFailed) || error.exitCode !== 1) throw error;
    });
    await runCommand('resize2fs', [file], { lock: file });
  }
  return actual;
}

/** What of a mounted file is in use, and what there is for files: a little less than the file's size. */
export async function loopFileUsage(mountPoint: string): Promise<{ usedBytes: number; sizeBytes: number }> {
  const { blocks, bfree, bsize } = await statfs(mountPoint);
  return { usedBytes: (blocks - bfree) * bsize, sizeBytes: blocks * bsize };
}

async function makeFile({ file, sizeBytes, reserve }: LoopFileOptions): Promise<void> {
  if (sizeBytes < SMALLEST_LOOP_FILE)
    throw new CommandFailed(`a file system of ${sizeBytes} bytes is too small: at least ${SMALLEST_LOOP_FILE}`);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = unfinishedFile(file);
  await rm(temporary, { force: true });
  const made = await open(temporary, 'wx', 0o600);
  await made.close();
  try {
    await setSize(temporary, sizeBytes, reserve === true);
    // No blocks are kept for root: the whole size is the user's. Its tables are written when they are needed.
    const extended = 'lazy_itable_init=1,lazy_journal_init=1,nodiscard';
    const features = reserve && sizeBytes >= smallestWithJournal ? [] : ['-O', '^has_journal'];
    await runCommand('mkfs.ext4', ['-q', '-F', '-m', '0', ...features, '-E', extended, temporary]);
    await sync(temporary);
    await rename(temporary, file);
    await sync(dirname(file));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error instanceof CommandFailed && error.missing
      ? new CommandFailed(`a disk limit by a file needs mkfs.ext4 (package e2fsprogs): ${error.message}`, {
          missing: true,
        })
      : error;
  }
}

/** Always the same, so that it is found again. */
function unfinishedFile(file: string): string {
  return `${file}.making`;
}

async function setSize(file: string, sizeBytes: number, reserve: boolean): Promise<void> {
  if (reserve) {
    await runCommand('fallocate', ['-l', String(sizeBytes), file]);
    return;
  }
  const opened = await open(file, 'r+');
  try {
    await opened.truncate(sizeBytes);
  } finally {
    await opened.close();
  }
}

async function loopDeviceOf(file: string): Promise<string> {
  const listed = await runCommand('losetup', ['-n', '-O', 'NAME', '-j', file]);
  const device = listed.trim().split('\n')[0];
  if (!device) throw new Error(`${file} is mounted but no loop device has it`);
  return device;
}

async function sync(path: string): Promise<void> {
  const opened = await open(path, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}
