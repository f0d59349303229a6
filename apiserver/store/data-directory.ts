import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { writeSecretFile } from '../auth/atomic-file.ts';
import { exitCodes, StartupError } from '../startup-error.ts';

/** Goes up when the layout of the directory changes so that an older program would do harm. */
export const dataVersion = 1;

/** Makes the data directory if needed, and refuses one that cannot be used or was written by a newer version. */
export function openDataDirectory(directory: string): { server: string; auth: string } {
  const server = join(directory, 'server');
  const auth = join(server, 'pki');
  try {
    makeDirectory(resolve(directory));
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    refuseNewer(directory);
    mkdirSync(server, { recursive: true, mode: 0o700 });
    mkdirSync(auth, { recursive: true, mode: 0o700 });
    const versionPath = join(directory, 'version');
    if (!existsSync(versionPath)) writeSecretFile(versionPath, `${dataVersion}\n`);
  } catch (error) {
    if (error instanceof StartupError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOSPC' ? 'its disk is full' : (reasons[code ?? ''] ?? message);
    throw new StartupError(`The data directory ${directory} cannot be used: ${why}.`, exitCodes.cannotCreate, {
      cause: error,
    });
  }
  return { server, auth };
}

/** Not mkdirSync's `recursive`, which never returns where the kernel makes no directories (/proc). */
function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectory(parent);
  mkdirSync(path, { mode: 0o755 });
}

const reasons: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is not a directory',
  EEXIST: 'it is not a directory',
  ENOENT: 'no directory can be made there',
};

function refuseNewer(directory: string): void {
  const path = join(directory, 'version');
  if (!existsSync(path)) return;
  const found = Number(readFileSync(path, 'utf8').trim());
  if (Number.isInteger(found) && found <= dataVersion) return;
  throw new StartupError(
    `The data directory ${directory} was written by a newer version of Tepui (layout ${readFileSync(path, 'utf8').trim()}, this program knows ${dataVersion}): use that version, or another --data-dir.`,
    exitCodes.data,
  );
}
