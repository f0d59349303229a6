/**
 * The log of a container's run before its restart in place: `stdout.previous` and `stderr.previous` beside the present ones, with their rotated
 * files. The sandbox belongs to the container's user, so everything goes through its open directory, and no link is followed.
 */
import { lstat, rename } from 'node:fs/promises';
import { entryOf, openDirectory } from '../../volumes/anchored.ts';
import { removeTree } from '../../volumes/remove-tree.ts';

/** As many rotated files as a log can keep. */
const MOST_ROTATED = 1_000;

/** Makes the present log that of the run before. A log that is moved already is left alone: idempotent. */
export async function keepPreviousLogs(sandbox: string): Promise<void> {
  const directory = await openDirectory(sandbox);
  try {
    for (const file of ['stdout', 'stderr']) {
      if (!(await exists(entryOf(directory, file)))) continue;
      for (let index = 1; index <= MOST_ROTATED; index += 1) {
        const [from, to] = [`${file}.${index}`, `${file}.previous.${index}`];
        const isThere = await exists(entryOf(directory, from));
        if (!isThere && !(await exists(entryOf(directory, to)))) break;
        await clear(directory, to);
        if (isThere) await rename(entryOf(directory, from), entryOf(directory, to));
      }
      await clear(directory, `${file}.previous`);
      // Last: it is what tells that there is something to be moved.
      await rename(entryOf(directory, file), entryOf(directory, `${file}.previous`));
    }
  } finally {
    await directory.close();
  }
}

/** Whatever the container put there. */
async function clear(directory: Awaited<ReturnType<typeof openDirectory>>, name: string): Promise<void> {
  if (await exists(entryOf(directory, name))) await removeTree(directory, name, '.removing-log-');
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return false;
    },
  );
}
