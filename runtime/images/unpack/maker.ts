/** The process that makes a layer's entries: the launcher's `unpack` role, fed with records. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { LayerRefused } from './layer-entries.ts';

/** The files could not be made: the disk is full, for example. */
export class UnpackFailed extends Error {
  override name = 'UnpackFailed';
  readonly diskFull: boolean;
  constructor(message: string, diskFull: boolean) {
    super(message);
    this.diskFull = diskFull;
  }
}

export interface Result {
  bytes: number;
  leftOut: number;
}

export interface Maker {
  /** Resolves when there is room for more. Rejects with what the launcher says is wrong. */
  write(parts: Buffer[]): Promise<void>;
  finish(): Promise<Result>;
  kill(): void;
  /** Resolves when the process is gone. Never rejects. */
  closed: Promise<void>;
}

/** The caller kills it, if it has not finished, and waits for `closed`. */
export function startMaker(binary: string, directory: string): Maker {
  // Nothing of this process's environment or descriptors is of use there.
  const child = spawn(binary, ['unpack', directory], { stdio: ['pipe', 'pipe', 'ignore'], env: {}, cwd: '/' });
  const result = resultOf(child);
  result.catch(() => {});
  const stdin = child.stdin!;
  stdin.on('error', () => {}); // it ended: its result says why
  return {
    async write(parts) {
      if (parts.length === 0) return;
      // Many small pieces cost more as a vector than as a copy.
      const hasRoom = parts.length > 4 ? stdin.write(Buffer.concat(parts)) : writeEach(child, parts);
      if (hasRoom) return;
      if (stdin.writable) await Promise.race([once(stdin, 'drain').catch(() => {}), result]);
      if (!stdin.writable) await failedOf(result);
    },
    async finish() {
      stdin.end();
      return result;
    },
    kill: () => void child.kill('SIGKILL'),
    closed: result.then(
      () => {},
      () => {},
    ),
  };
}

function writeEach(child: ChildProcess, parts: Buffer[]): boolean {
  const stdin = child.stdin!;
  stdin.cork();
  let hasRoom = true;
  for (const part of parts) hasRoom = stdin.write(part);
  stdin.uncork();
  return hasRoom;
}

async function failedOf(result: Promise<Result>): Promise<never> {
  await result;
  throw new UnpackFailed('the launcher ended before the layer', false);
}

interface ResultLine extends Partial<Result> {
  failed?: { record: number; errno: number; step: string; message: string };
}

/** Settles when the process is gone. */
function resultOf(child: ChildProcess): Promise<Result> {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    if (text.length < 65_536) text += part;
  });
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new UnpackFailed(`the launcher cannot be run: ${error.message}`, false)));
    child.once('close', (code, signal) => {
      const line = parseLine(text);
      if (code === 0 && line?.bytes !== undefined) resolve({ bytes: line.bytes, leftOut: line.leftOut ?? 0 });
      else if (line?.failed) reject(failureOf(line.failed));
      else reject(new UnpackFailed(`the launcher ended with ${signal ?? code} while it unpacked`, false));
    });
  });
}

function parseLine(text: string): ResultLine | undefined {
  try {
    return JSON.parse(text) as ResultLine;
  } catch {
    return undefined;
  }
}

const DISK_FULL = new Set([28 /* ENOSPC */, 122 /* EDQUOT */]);

function failureOf({ errno, step, message }: NonNullable<ResultLine['failed']>): Error {
  const text = `cannot ${step} ${message}`;
  return DISK_FULL.has(errno) ? new UnpackFailed(text, true) : new LayerRefused(text);
}
