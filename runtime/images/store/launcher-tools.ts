/** What Node cannot do with files, done by one-shot roles of the launcher. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const options = { env: {}, cwd: '/' };

/** Removes `directory/name` with everything in it, whatever its names are and however deep it is. What does not exist is gone. */
export async function removeBelow(binary: string, directory: string, name: string): Promise<void> {
  await run(binary, ['remove', directory, name], options);
}

/** Everything that was written to the file system of `directory` is on the disk when this resolves. */
export async function syncFileSystem(binary: string, directory: string): Promise<void> {
  await run(binary, ['sync', directory], options);
}
