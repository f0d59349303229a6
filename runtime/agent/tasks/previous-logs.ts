/**
 * The log of a container's run before its restart in place: `stdout.previous` and `stderr.previous` beside the present ones, with their rotated
 * files. The sandbox belongs to the container's user, so everything goes through its open directory, and no link is followed.
 */
import { lstat, rename } from 'node:fs/promises';
import { entryOf, openDirectory } from '../../volumes/anchored.ts';
import { removeTree } from '../../volumes/remove-tree.ts';

type Directory = Awaited<ReturnType<typeof openDirectory>>;

/** As many rotated files as a log can keep. */
const MOST_ROTATED = 1_000;

/** Makes the present log that of the run before. Idempotent, also after a call that was killed at any point: nothing of the run before is lost. */
export async function keepPreviousLogs(sandbox: string): Promise<void> {
  const directory = await openDirectory(sandbox);
  try {
    for (const file of ['stdout', 'stderr']) {
      if (!(await exists(entryOf(directory, file)))) continue;
      await forget(directory, `${file}.previous`);
      for (let index = 1; index <= MOST_ROTATED; index += 1) {
        const [from, to] = [`${file}.${index}`, `${file}.previous.${index}`];
        const isThere = await exists(entryOf(directory, from));
        if (!isThere && !(await exists(entryOf(directory, to)))) break;
        if (!isThere) continue;
        await clear(directory, to);
        await rename(entryOf(directory, from), entryOf(directory, to));
      }
      // Last: it is what tells that there is something to be moved.
      await rename(entryOf(directory, file), entryOf(directory, `${file}.previous`));
    }
  } finally {
    await directory.close();
  }
}

/** Removes a log with its rotated files, itself last: as long as it is there, none of the log that takes its place was moved. */
async function forget(directory: Directory, log: string): Promise<void> {
  if (!(await exists(entryOf(directory, log)))) return;
  let rotated = 0;
  while (rotated < MOST_ROTATED && (await exists(entryOf(directory, `${log}.${rotated + 1}`)))) rotated += 1;
  // From the end, so that what is left after a kill is found.
  for (; rotated > 0; rotated -= 1) await clear(directory, `${log}.${rotated}`);
  await clear(directory, log);
}

/** Whatever the container put there. */
async function clear(directory: Directory, name: string): Promise<void> {
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
