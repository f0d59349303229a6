/** What the kernel and a directory's file system can do for containers; and the copy of an image for where they cannot. The launcher's one-shot roles. */
import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { inOwnUserNamespace } from '../rootless/state.ts';

const run = promisify(execFile);

/** Why something cannot be done; absent when it can. */
export interface FileSystemFeatures {
  /** Overlay with changes in this directory. */
  overlay?: string;
  /** User namespaces with files of this directory, below an overlay too, mapped into them. */
  userNamespaces?: string;
}

/** Tries it out in `<directory>/.probe`, which is made and removed. */
export async function probeFileSystem(binary: string, directory: string): Promise<FileSystemFeatures> {
  const scratch = `${directory}/.probe`;
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  try {
    const { stdout } = await run(binary, ['probe', scratch], { env: {}, cwd: '/' });
    const answers = new Map(stdout.split('\n').map((line) => splitOnce(line)));
    const reasonOf = (name: string) => {
      const answer = answers.get(name);
      return answer === undefined || answer === 'ok' ? undefined : answer;
    };
    const overlay = reasonOf('overlay');
    const userNamespaces = inOwnUserNamespace()
      ? 'the agent is in a user namespace of its own, and the ids of files cannot be mapped once more'
      : ['userNamespace', 'idmap', 'idmappedOverlay'].map(reasonOf).find(Boolean);
    return { ...(overlay && { overlay }), ...(userNamespaces && { userNamespaces }) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Copies what an overlay of the layers shows to `<directory>/root`. Takes as long as it takes to copy; `signal` ends it half-way. */
export async function flattenLayers(
  binary: string,
  directory: string,
  layers: string[],
  signal?: AbortSignal,
): Promise<void> {
  try {
    const options = { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }, cwd: '/', ...(signal && { signal }) };
    await run(binary, ['flatten', directory, ...layers], options);
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(`the image's layers cannot be copied: ${stderr?.trim() || message}`, { cause: error });
  }
}

function splitOnce(line: string): [string, string] {
  const space = line.indexOf(' ');
  return space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
}
