/** Writing a file that is there whole, or not at all. */
import { randomBytes } from 'node:crypto';
import { constants, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CliError } from '../exit-codes.ts';

/** Beside its place, and then into it. A directory that is there is not replaced. */
export async function writeNewFile(path: string, content: Readable): Promise<void> {
  if ((await stat(path).catch(() => undefined))?.isDirectory()) throw new CliError(`${path} is a directory`);
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}`);
  try {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    await pipeline(content, createWriteStream(temporary, { flags: flags as unknown as string }));
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
