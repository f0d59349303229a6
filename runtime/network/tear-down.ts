/** Takes back a task's network. Every step tolerates that it was done before, or that what it undoes was never done. */
import { lstat, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { releaseNamespaces } from '../launcher/hold.ts';
import { del } from './cni/chain.ts';
import { type NetworkContext, networkDirectory } from './context.ts';
import { TASK_FILES } from './files/task-files.ts';
import { isNamespaceHeld } from './is-namespace-held.ts';

/** The record goes last: as long as something may be left, there is one. Rejects with the first failure of a plug-in. */
export async function tearDown(context: NetworkContext, groupId: string): Promise<void> {
  const directory = networkDirectory(context, groupId);
  const record = context.known.get(groupId);
  if (record !== undefined) {
    const namespacePath = (await isNamespaceHeld(directory)) ? join(directory, 'net') : '';
    const options = { ...context.chainOptions, pluginPath: record.pluginPath };
    const failures: unknown[] = [];
    for (const attachment of record.attachments.toReversed()) {
      await del(attachment, namespacePath, attachment.result, options).catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }
  await removeDirectory(context, directory);
  if (record === undefined) return;
  await context.records.remove(groupId);
  context.known.delete(groupId);
}

async function removeDirectory({ launcher }: NetworkContext, directory: string): Promise<void> {
  // Most tasks have no directory: no process is started for them.
  if (await exists(directory)) {
    await Promise.all(
      TASK_FILES.flatMap((name) => [name, `${name}.new`]).map((name) => rm(join(directory, name), { force: true })),
    );
    if (await exists(join(directory, 'net'))) await releaseNamespaces(directory, launcher);
    await removeIfEmpty(directory);
  }
  // Others keep things of the task beside it. An agent that was killed may have come no further than to here.
  await removeIfEmpty(dirname(directory));
}

async function removeIfEmpty(directory: string): Promise<void> {
  await rmdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code ?? '')) throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
