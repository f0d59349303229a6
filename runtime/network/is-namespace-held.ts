/** Whether a network namespace is bound in a task's directory: after a restart of the machine its record may be there, and it is not. */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';

/** NSFS_MAGIC of linux/magic.h. */
const NSFS = 0x6e736673;

export async function isNamespaceHeld(directory: string): Promise<boolean> {
  const found = await statfs(join(directory, 'net')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return found?.type === NSFS;
}
