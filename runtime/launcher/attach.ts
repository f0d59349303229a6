/**
 * Attaching to a container that has a terminal or an open standard input: a connection to its supervisor, which outlives agents. Frames are a
 * 32-bit little-endian head (kind in the lowest byte, length above it) and so many bytes.
 */
import { connect, type Socket } from 'node:net';
import { PassThrough, type Readable, Writable } from 'node:stream';

const KIND = { stdin: 0, stdout: 1, stderr: 2, end: 3, resize: 4, hello: 5, closeStdin: 255 } as const;
const WANTS_OUTPUT = 1;
const WANTS_HISTORY = 2;
/** The supervisor drops whoever keeps it waiting for 1 s: better to detach ourselves from a reader that is this far behind. */
const MOST_BEHIND_BYTES = 16 * 2 ** 20;
const MOST_FRAME_BYTES = 2 ** 16;

export interface AttachOptions {
  /** Whether output is wanted. Default true. */
  output?: boolean;
  /** What a terminal showed last (at most 8 KiB) comes first. Default false. */
  history?: boolean;
}

export interface Attachment {
  /** Ending it only ends this side; `closeStdin` ends the container's input. */
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  resize(size: { columns: number; rows: number }): void;
  /** Ends the container's standard input for good; a terminal is sent its end-of-file character instead. */
  closeStdin(): void;
  /** Lets go; the container goes on. */
  detach(): void;
  /** How it ended: the container closed its output (`ended`), `detach` was called, or this side read too slowly (`dropped`). */
  closed: Promise<'ended' | 'detached' | 'dropped'>;
}

/** `started` is the container's first process. Rejects with a system error when it cannot be attached to (ENOENT: no terminal, no input, or it has ended). */
export async function attachToSupervisor(
  runtimeDir: string,
  started: { pid: number; startTimeTicks: number },
  { output = true, history = false }: AttachOptions = {},
): Promise<Attachment> {
  const socket = await open(`${runtimeDir}/attach/${started.pid}.${started.startTimeTicks}`);
  const closed = Promise.withResolvers<'ended' | 'detached' | 'dropped'>();
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  let how: 'ended' | 'detached' | 'dropped' = 'dropped';
  const finish = (): void => {
    closed.resolve(how);
    stdout.end();
    stderr.end();
  };
  socket.on('error', () => {}).on('close', finish);
  const detach = (reason: 'detached' | 'dropped' = 'detached'): void => {
    if (how !== 'ended') how = reason;
    socket.destroy();
  };
  readFrames(socket, (kind, data) => {
    if (kind === KIND.end) how = 'ended';
    else if (kind === KIND.stdout) stdout.write(data);
    else if (kind === KIND.stderr) stderr.write(data);
    if (stdout.writableLength + stderr.writableLength > MOST_BEHIND_BYTES) detach('dropped');
  });
  socket.write(frame(KIND.hello, Buffer.of((output ? WANTS_OUTPUT : 0) | (history ? WANTS_HISTORY : 0))));
  return {
    stdin: inputOf(socket),
    stdout,
    stderr,
    resize({ columns, rows }) {
      const size = Buffer.alloc(4);
      size.writeUInt16LE(columns, 0);
      size.writeUInt16LE(rows, 2);
      socket.write(frame(KIND.resize, size));
    },
    closeStdin: () => void socket.write(frame(KIND.closeStdin, Buffer.alloc(0))),
    detach: () => detach(),
    closed: closed.promise,
  };
}

function inputOf(socket: Socket): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (let at = 0; at < chunk.length; at += MOST_FRAME_BYTES)
        socket.write(frame(KIND.stdin, chunk.subarray(at, at + MOST_FRAME_BYTES)));
      if (!socket.writableNeedDrain) return done();
      // A container that does not read slows its writer down; one that has ended does not matter any more.
      const go = (): void => {
        socket.off('drain', go).off('close', go);
        done();
      };
      socket.on('drain', go).on('close', go);
    },
  });
}

function frame(kind: number, data: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(kind + data.length * 256);
  return Buffer.concat([head, data]);
}

function readFrames(socket: Socket, onFrame: (kind: number, data: Buffer) => void): void {
  let pending: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length > 0 ? Buffer.concat([pending, chunk]) : chunk;
    while (pending.length >= 4) {
      const head = pending.readUInt32LE(0);
      const end = 4 + Math.floor(head / 256);
      if (pending.length < end) return;
      const data = pending.subarray(4, end);
      pending = pending.subarray(end);
      onFrame(head % 256, data);
    }
  });
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}
