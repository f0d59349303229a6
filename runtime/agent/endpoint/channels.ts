/**
 * Kubernetes' remote command protocol over WebSocket (v5.channel.k8s.io; v4 is the same without `close`): the first byte of a message is its channel.
 * One is ours: `signal`, for the session's process.
 */
import type { Readable } from 'node:stream';
import type { RawData, WebSocket } from 'ws';

export const CHANNEL_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

/**
 * `status` ends a session with a Status as JSON; `resize` is {"Width","Height"}; `close` is followed by the channel that is closed; `signal` by
 * a number.
 */
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, signal: 16, close: 255 } as const;

/** For port-forward: bytes both ways, and why there are none. */
export const FORWARD_CHANNEL = { data: 0, error: 1, close: 255 } as const;

/** Output waits while this much is not yet sent: a slow client must not fill our memory. */
const HIGH_WATER = 1024 * 1024;
const PING_MS = 30_000;

/** Sends what a stream gives on a channel, as fast as the client takes it; goes on reading when it is gone. Of a duplex stream it ends this direction only. */
export async function pump(stream: Readable, channel: number, socket: WebSocket): Promise<void> {
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    if (socket.readyState !== socket.OPEN) continue;
    const sent = new Promise<void>((resolve) => sendOn(socket, channel, chunk as Buffer, resolve));
    if (socket.bufferedAmount > HIGH_WATER) await sent;
  }
}

export function sendOn(socket: WebSocket, channel: number, data: Uint8Array | string, sent?: () => void): void {
  if (socket.readyState !== socket.OPEN) {
    sent?.();
    return;
  }
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  socket.send(Buffer.concat([Buffer.of(channel), bytes]), () => sent?.());
}

export function messageOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}

/**
 * So that what is between us and a silent client keeps the connection, and a client whose machine went is noticed by TCP. Answers are not waited for: one
 * whose output is held up (a pager) does not give any. Call the result when the session is over.
 */
export function keepAlive(socket: WebSocket): () => void {
  const timer = setInterval(() => socket.ping(), PING_MS);
  return () => clearInterval(timer);
}
