import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, createServer as createProbe, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ApiError, type ErrorCode } from './errors.ts';

export interface ListenerOptions {
  address: string;
  /** 0: a free one. */
  port: number;
  tls: { key: string; cert: string };
  handle: (request: IncomingMessage, response: ServerResponse) => void;
  limits?: Partial<ListenerLimits>;
}

/** Against clients that open connections and then say nothing, or say it too slowly. */
export interface ListenerLimits {
  handshakeTimeoutMs: number;
  headersTimeoutMs: number;
  /** For the whole request with its body; a watch is a long answer, not a long request. */
  requestTimeoutMs: number;
  /** Longer than clients keep idle connections (Go: 90 s), so that the client closes first. */
  keepAliveTimeoutMs: number;
  checkIntervalMs: number;
}

const defaultLimits: ListenerLimits = {
  handshakeTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 120_000,
  checkIntervalMs: 2_000,
};

const maxHeaderBytes = 64 * 1024;

export interface Listener {
  port: number;
  /** Takes a renewed certificate for new connections. */
  setTls(tls: { key: string; cert: string }): void;
  /** Takes no new connections, waits for the open requests, and cuts those off that last longer. */
  close(graceMs: number): Promise<void>;
}

/** Whether one could listen there now. Rejects with the system's error as `listen` does; nothing stays open. */
export async function tryAddress(address: string, port: number): Promise<void> {
  const probe = createProbe();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(port, address, resolve));
  await new Promise((resolve) => probe.close(resolve));
}

/** Opens the HTTPS port. Rejects with the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const limits = { ...defaultLimits, ...options.limits };
  const server = createServer(
    {
      ...options.tls,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: limits.handshakeTimeoutMs,
      maxHeaderSize: maxHeaderBytes,
      connectionsCheckingInterval: limits.checkIntervalMs,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
    },
    options.handle,
  );
  server.on('clientError', refuse);
  // Handshakes that fail are the client's affair.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.address, port: options.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    setTls: (tls) => server.setSecureContext({ ...tls, minVersion: 'TLSv1.2' }),
    close: (graceMs) => close(server, sockets, graceMs),
  };
}

function close(server: Server, sockets: Set<Socket>, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    // Connections that never sent a request are not known to closeAllConnections.
    const deadline = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, graceMs);
    server.close(() => {
      clearTimeout(deadline);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** What is not HTTP, too slow or too large in its headers: there is no request object, so the answer is written by hand. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const apiError = new ApiError(refusalCode(error));
  const body = JSON.stringify(apiError.toStatus());
  socket.end(
    `HTTP/1.1 ${apiError.httpStatus} ${apiError.reason}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function refusalCode(error: NodeJS.ErrnoException): ErrorCode {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'HeadersTooLarge';
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'RequestTimeout';
  return 'BadRequest';
}
