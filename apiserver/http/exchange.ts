import type { IncomingMessage } from 'node:http';
import type { WatchOutput } from '../watch/stream.ts';
import type { LoopbackRequest } from './loopback.ts';

/** A request as the handlers read it: from a socket, or from within the process. */
export type ApiRequest = IncomingMessage | LoopbackRequest;

/** The answer to it, of which `ServerResponse` is one kind and `LoopbackResponse` the other. */
export interface ApiResponse extends WatchOutput {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  writeHead(status: number, headers: Record<string, string | string[]>): unknown;
  flushHeaders(): void;
  once(event: 'close', listener: () => void): unknown;
}
