import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Replaces a file so that readers, and a machine that loses power, see the old or the new content whole. Readable by its owner only. */
export function writeSecretFile(path: string, content: string): void {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  const file = openSync(temporary, 'wx', 0o600);
  try {
    try {
      writeSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    removeUnfinished(path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** What a writer of this file that was killed left, secret as the file: whatever it wanted to write, it is written again, and comes here. */
function removeUnfinished(path: string): void {
  const directory = dirname(path);
  for (const name of readdirSync(directory)) {
    const isOurs =
      name.startsWith(`${basename(path)}.`) && /^[0-9a-f]{8}\.tmp$/.test(name.slice(basename(path).length + 1));
    if (isOurs) rmSync(join(directory, name), { force: true });
  }
}
