/**
 * WebSocket /portforward/<namespace>/<task>?container=NAME&port=N: one TCP connection to a port on the container's own loopback. Channel 0
 * carries its bytes both ways, 255 0 ends one direction, 1 tells why there is no connection. One that breaks is closed with 1011, after all that it gave.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { FORWARD_CHANNEL, keepAlive, messageOf, pump, sendOn } from './channels.ts';
import { BadQuery } from './logs.ts';

const BROKEN = 1011;

/** Throws BadQuery. */
export function parsePort(query: URLSearchParams): number {
  const port = Number(query.get('port') ?? '');
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new BadQuery('port: must be a number from 1 to 65535');
  return port;
}

/** Joins both until both directions are closed, or one side breaks. */
export async function serveForward(socket: WebSocket, connection: Duplex): Promise<void> {
  const stopPings = keepAlive(socket);
  socket.on('message', (data) => {
    const message = messageOf(data);
    if (message[0] === FORWARD_CHANNEL.close) return void connection.end();
    if (message[0] !== FORWARD_CHANNEL.data || connection.write(message.subarray(1))) return;
    socket.pause();
    connection.once('drain', () => socket.resume());
  });
  socket.on('close', () => connection.destroy()).on('error', () => socket.terminate());
  const isClosed = new Promise<void>((resolve) => connection.once('close', resolve));
  connection.on('error', () => {}); // it is looked at when all is read
  socket.resume();
  try {
    await pump(connection, FORWARD_CHANNEL.data, socket);
    if (!connection.errored) sendOn(socket, FORWARD_CHANNEL.close, Buffer.of(FORWARD_CHANNEL.data));
    await isClosed;
    socket.close(connection.errored ? BROKEN : 1000);
  } catch {
    socket.close(BROKEN);
  } finally {
    stopPings();
  }
}

/** Nobody listens there, for example. */
export function refuseForward(socket: WebSocket, error: unknown): void {
  socket.resume();
  sendOn(socket, FORWARD_CHANNEL.error, error instanceof Error ? error.message : String(error));
  socket.close(1000);
}
