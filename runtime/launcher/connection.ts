/** A connection to the resident launcher; starts one when none listens, and another one in place of one that speaks another protocol. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { FrameType, FrameWriter, PROTOCOL_VERSION } from './encode.ts';
import { LauncherUnavailable } from './errors.ts';
import { splitFrames } from './frames.ts';

const run = promisify(execFile);
const ATTEMPTS = 20;

/** The running launcher is of a build with another protocol. */
class OtherProtocol extends Error {}

/** The cgroups for a new launcher were taken away by one that ended just then. */
class GroupsGone extends Error {}

/** EX_TEMPFAIL of sysexits.h. */
const GROUPS_GONE_EXIT_CODE = 75;

/** `groups`: pairs of a cgroup hierarchy's mount and a path below it, for the launcher to move to; made when a launcher is started. */
export async function openConnection(
  runtimeDir: string,
  binary: string,
  groups: () => string[] = () => [],
): Promise<Socket> {
  const path = join(runtimeDir, 'launcher.sock');
  if (Buffer.byteLength(path) > 107)
    throw new LauncherUnavailable(`The runtime directory's path is too long for a socket: ${runtimeDir}`);
  await mkdir(runtimeDir, { recursive: true, mode: 0o700 });
  let failure: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      return await greet(await connectTo(path));
    } catch (error) {
      if (error instanceof LauncherUnavailable) throw error;
      failure = error;
    }
    // It may be ending just now (idle), and hold its lock for a moment longer: hence more than one attempt.
    if (attempt > 0) await sleep(Math.min(10 * attempt, 100));
    try {
      // Containers and supervisors go on; the new launcher takes them over by their state files, which all builds read.
      await serve(binary, failure instanceof OtherProtocol ? 'replace' : 'serve', runtimeDir, groups);
    } catch (error) {
      if (!(error instanceof GroupsGone)) throw error;
      failure = error;
    }
  }
  throw new LauncherUnavailable(`The launcher does not answer at ${path}: ${(failure as Error).message}`, {
    cause: failure,
  });
}

/** Returns once the launcher listens: it goes into the background by itself, in a session of its own. */
async function serve(
  binary: string,
  role: 'serve' | 'replace',
  runtimeDir: string,
  groups: () => string[],
): Promise<void> {
  const made = makeGroups(groups);
  try {
    await run(binary, [role, runtimeDir, ...made], { env: {}, cwd: '/' });
  } catch (error) {
    const { code, stderr, message } = error as { code?: unknown; stderr?: string; message: string };
    if (code === GROUPS_GONE_EXIT_CODE) throw new GroupsGone(stderr?.trim() || message);
    throw new LauncherUnavailable(`The launcher did not start: ${stderr?.trim() || message}`, { cause: error });
  }
}

function makeGroups(groups: () => string[]): string[] {
  try {
    return groups();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV') throw new GroupsGone(message);
    throw error;
  }
}

function connectTo(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** A launcher of an earlier (or a later) version may still serve its containers here. */
function greet(socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const broken = (): void => reject(new Error('the launcher closed the connection'));
    const read = splitFrames((frame) => {
      // The end of a container may be told first. Whoever asks for the list afterwards learns of it.
      if (frame.type !== FrameType.ok) return;
      socket.off('data', read).off('close', broken).off('error', reject);
      const protocol = frame.u32();
      if (protocol === PROTOCOL_VERSION) return resolve(socket);
      socket.destroy();
      reject(new OtherProtocol(`the running launcher speaks protocol ${protocol}, not ${PROTOCOL_VERSION}`));
    });
    socket.on('data', read).once('close', broken).once('error', reject);
    socket.write(new FrameWriter(FrameType.ping, 0).finish());
  });
}
