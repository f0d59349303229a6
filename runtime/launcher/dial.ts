/** A TCP connection made inside a container's network namespace: the launcher's `dial` role as a child of this process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { keepUnread } from './keep-unread.ts';

export interface DialRequest {
  /** Any process in the network namespace, in this process's pid namespace, with field 22 of its /proc/pid/stat. */
  pid: number;
  startTimeTicks: number;
  port: number;
  /** A numeric address. Default 127.0.0.1, then ::1. */
  host?: string;
  /** Ends the attempt, not a connection that is there. */
  signal?: AbortSignal;
}

/** `code` as of a failed `net.connect` (ECONNREFUSED ...); ESRCH when the container is not running. */
export class DialFailed extends Error {
  override name = 'DialFailed';
  readonly code: string;
  readonly step: string;

  constructor({ errno, step, message }: { errno: number; step: string; message: string }) {
    super(message);
    this.code = errno > 0 ? getSystemErrorName(-errno) : 'EUNKNOWN';
    this.step = step;
  }
}

interface StatusLine {
  connected?: string;
  failed?: { errno: number; step: string; message: string };
}

/** What "the container's own loopback" is tried as, in this order. */
export const loopbackAddresses = ['127.0.0.1', '::1'];

/** The addresses to try. Throws TypeError for a name: names are not looked up inside a container. */
export function addressesOf(host: string | undefined): string[] {
  if (host === undefined || host === 'localhost') return loopbackAddresses;
  if (isIP(host) === 0 || host.includes('%')) throw new TypeError(`"${host}" is no numeric IPv4 or IPv6 address`);
  return [host];
}

/**
 * Resolves with the connection, whose two directions end separately; rejects with DialFailed, or the signal's reason. A connection that breaks later
 * gives what had arrived, then ends with `errored` set to a DialFailed. `destroy()` ends it at once.
 */
export async function dial(binary: string, request: DialRequest): Promise<Duplex> {
  const { pid, startTimeTicks, port, host, signal } = request;
  signal?.throwIfAborted();
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new TypeError(`${port} is no TCP port`);
  const child = spawn(
    binary,
    ['dial', String(pid), String(startTimeTicks), String(port), ...addressesOf(host)],
    // No environment and no other descriptor.
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], env: {}, cwd: '/' },
  );
  const [stream, status] = [3, 4].map((fd) => child.stdio[fd]) as [Socket, Socket];
  keepUnread(child, 3);
  // Either side may end its direction first, as in TCP itself.
  stream.allowHalfOpen = true;
  status.on('error', () => {}); // its end is what counts
  stream.once('close', () => status.destroy()); // which ends the child
  const giveUp = (): void => void stream.destroy(signal?.reason as Error);
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    await connected(child, stream, status);
    return stream;
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
}

function connected(child: ChildProcess, stream: Socket, status: Socket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (error: Error): void => {
    reject(error);
    stream.destroy(error);
  };
  let isConnected = false;
  const breakOff = (error: Error): void => {
    // Before any other listener: who reads to the end finds it then. Were the stream destroyed now, what is in it would be lost.
    stream.prependListener('end', () => stream.destroy(error));
    status.destroy(); // for which the child waits
  };
  stream.on('error', reject);
  let text = '';
  status.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines.map((each) => JSON.parse(each) as StatusLine)) {
      if (line.failed) (isConnected ? breakOff : fail)(new DialFailed(line.failed));
      else resolve();
      isConnected = true;
    }
  });
  child.once('error', ({ message }) => fail(new DialFailed({ errno: 0, step: 'spawn', message })));
  status.once('close', () =>
    reject(new DialFailed({ errno: 0, step: 'dial', message: 'the launcher ended before it connected' })),
  );
  return promise;
}
