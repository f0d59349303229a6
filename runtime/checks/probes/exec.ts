/** A command in the container: exit code 0 is success. */
import type { Readable } from 'node:stream';
import type { ExecAction } from '../../../crds/types.generated.ts';
import { LaunchFailed } from '../../launcher/errors.ts';
import { failure, type ProbeOutcome, success, undone } from '../result.ts';
import type { CheckTarget } from '../target.ts';

/** Kept of what it says, for the message. */
const MAX_OUTPUT = 1024;

/** Resolves when the command has ended; an abort kills it, with what it started in its process group. */
export async function probeExec(action: ExecAction, target: CheckTarget, signal: AbortSignal): Promise<ProbeOutcome> {
  const argv = action.shell === undefined ? (action.command ?? []) : ['/bin/sh', '-c', action.shell];
  let session: Awaited<ReturnType<CheckTarget['exec']>>;
  try {
    session = await target.exec(argv);
  } catch (error) {
    return notStarted(error);
  }
  const kill = (): void => session.signal(9);
  if (signal.aborted) kill();
  signal.addEventListener('abort', kill, { once: true });
  try {
    const output = [session.stdout, session.stderr].map((stream) =>
      stream ? beginningOf(stream as Readable) : () => '',
    );
    const ended = await session.exit;
    const said = output.map((read) => read().trim()).find((text) => text !== '');
    const told = said ? `: ${said.replaceAll(/\s+/g, ' ')}` : '';
    if (ended.signal !== undefined) {
      return failure(`the command was ended by signal ${ended.signal}${told}`, { exitCode: 128 + ended.signal });
    }
    const exitCode = ended.exitCode ?? 0;
    const describe = exitCode === 0 ? success : failure;
    return describe(`the command ended with exit code ${exitCode}${told}`, { exitCode });
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

/** A command that is not there is the container's fault; anything else that keeps it from starting is not. */
function notStarted(error: unknown): ProbeOutcome {
  const message = error instanceof Error ? error.message : String(error);
  const { step, errno } = error instanceof LaunchFailed ? error : { step: undefined, errno: 0 };
  if (step !== 'exec' || errno === 0) return undone(`the command could not be started: ${message}`);
  const ENOENT = 2;
  return failure(message, { exitCode: errno === ENOENT ? 127 : 126 });
}

/** Reads everything, so that the command never waits for us, and keeps the first part. */
function beginningOf(stream: Readable): () => string {
  const parts: Buffer[] = [];
  let length = 0;
  stream.on('data', (chunk: Buffer) => {
    if (length < MAX_OUTPUT) parts.push(chunk.subarray(0, MAX_OUTPUT - length));
    length += chunk.length;
  });
  stream.on('error', () => {}); // how the command ended tells
  return () => Buffer.concat(parts).toString('utf8');
}
