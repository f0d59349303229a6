/** The end of a sandbox that was a file system in a file: the mount goes, the logs stay readable where they were. */
import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { mountLoopFile, unmountLoopFile } from '../../disk/loop-file.ts';
import { isMountPoint } from '../../volumes/mounts.ts';

/** With what rotation made of them. */
const LOG_FILE = /^(stdout|stderr)(\.\d+)?$/;
/** Only used for a file that is new, which none is here. */
const NOBODY = { uid: 0, gid: 0, mode: 0o700 };

/**
 * Copies the logs beside the file, unmounts, and puts the copies into the directory that the mount covered. Can be repeated after a crash at any
 * point. No process of the container is left. After a restart of the machine the file is mounted once more for its logs.
 */
export async function detachSandbox(sandbox: string, file: string): Promise<void> {
  const copies = `${file}.logs`;
  const isMounted = await isMountPoint(sandbox).catch(() => false);
  if (!isMounted && !(await exists(copies))) {
    if (!(await exists(sandbox)) || !(await exists(file)) || (await exists(join(sandbox, 'stdout')))) return;
    // A file system that the machine's end left in pieces is left to the operator.
    await mountLoopFile({ file, sizeBytes: 0, mountPoint: sandbox, owner: NOBODY }).catch(() => {});
  }
  if (await isMountPoint(sandbox)) {
    await copyLogs(sandbox, copies);
    await unmountLoopFile(sandbox);
  }
  for (const name of await readdir(copies).catch(() => [])) await rename(join(copies, name), join(sandbox, name));
  await rm(copies, { recursive: true, force: true });
}

async function copyLogs(sandbox: string, copies: string): Promise<void> {
  const unfinished = `${copies}.making`;
  for (const left of [unfinished, copies]) await rm(left, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true, mode: 0o700 });
  for (const name of await readdir(sandbox)) {
    if (LOG_FILE.test(name)) await copyLog(join(sandbox, name), join(unfinished, name));
  }
  await rename(unfinished, copies);
}

/** The task may have put anything under that name: only a file is copied, and no link followed. */
async function copyLog(from: string, to: string): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const source = await open(from, flags).catch(() => undefined);
  if (source === undefined) return;
  const stat = await source.stat();
  if (!stat.isFile()) {
    await source.close();
    return;
  }
  const copy = await open(to, 'wx', 0o600);
  await copy.chown(stat.uid, stat.gid);
  await copy.chmod(stat.mode & 0o777);
  await pipeline(source.createReadStream(), copy.createWriteStream());
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
