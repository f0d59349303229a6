/**
 * WebSocket /exec/<namespace>/<task>?command=ARG&command=ARG&stdin=true&tty=true&columns=N&rows=N, framed like Kubernetes' remote command
 * protocol (v5.channel.k8s.io): the first byte of a message is its channel. 0 stdin, 1 stdout, 2 stderr, 3 the final Status as JSON, 4 resize
 * as {"Width","Height"}; 255 followed by 0 closes stdin.
 */
import type { RawData, WebSocket } from 'ws';
import type { ExecSession } from '../../containerizers/containerizer.ts';
import { BadQuery } from './logs.ts';

export const EXEC_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 };
/** Output waits while this much is not yet sent: a slow client must not fill our memory. */
const HIGH_WATER = 1024 * 1024;
const PING_MS = 30_000;
const SIGKILL = 9;

export interface ExecQuery {
  argv: string[];
  tty: boolean;
  stdin: boolean;
  size?: { columns: number; rows: number };
}

/** Throws BadQuery. */
export function parseExecQuery(query: URLSearchParams): ExecQuery {
  const argv = query.getAll('command');
  if (argv.length === 0 || argv[0] === '') throw new BadQuery('command: is missing');
  const flag = (name: string): boolean => ['true', '1', ''].includes(query.get(name) ?? 'false');
  const [columns, rows] = [Number(query.get('columns')), Number(query.get('rows'))];
  return { argv, tty: flag('tty'), stdin: flag('stdin'), ...(columns > 0 && rows > 0 && { size: { columns, rows } }) };
}

/** Joins the socket and the session until the process ends; a client that goes takes the process with it. */
export async function serveExec(socket: WebSocket, session: ExecSession): Promise<void> {
  const ping = setInterval(() => socket.ping(), PING_MS);
  let ended = false;
  socket.on('message', (data, isBinary) => {
    const { stdin } = session;
    if (onMessage(toBuffer(data), isBinary, session) || stdin === undefined) return;
    // A command that does not read slows its client down, and does not fill our memory.
    socket.pause();
    stdin.once('drain', () => socket.resume());
  });
  // A command may end without having read its input.
  session.stdin?.on('error', () => socket.resume());
  socket.on('close', () => {
    if (!ended) session.signal(SIGKILL);
  });
  socket.on('error', () => socket.terminate());
  socket.resume();
  try {
    const outputs = [pump(session.stdout, CHANNEL.stdout, socket)];
    if (session.stderr !== undefined) outputs.push(pump(session.stderr, CHANNEL.stderr, socket));
    const exit = await session.exit;
    await Promise.all(outputs);
    ended = true;
    sendStatus(socket, exitStatus(exit));
  } catch (error) {
    ended = true;
    sendStatus(socket, failureStatus(error));
  } finally {
    clearInterval(ping);
    socket.close(1000);
  }
}

/** For a session that could not begin. */
export function refuseExec(socket: WebSocket, error: unknown): void {
  socket.resume();
  sendStatus(socket, failureStatus(error));
  socket.close(1000);
}

/** Whether more can be taken at once. */
function onMessage(message: Buffer, isBinary: boolean, session: ExecSession): boolean {
  const channel = message[0];
  if (!isBinary || channel === undefined) return true;
  const payload = message.subarray(1);
  if (channel === CHANNEL.stdin) return session.stdin?.write(payload) ?? true;
  if (channel === CHANNEL.close && payload[0] === CHANNEL.stdin) session.stdin?.end();
  else if (channel === CHANNEL.resize) resize(payload, session);
  return true;
}

function resize(payload: Buffer, session: ExecSession): void {
  try {
    const { Width, Height } = JSON.parse(payload.toString('utf8')) as { Width?: number; Height?: number };
    if (Number.isInteger(Width) && Number.isInteger(Height) && Width! > 0 && Height! > 0) {
      session.resize({ columns: Width!, rows: Height! });
    }
  } catch {
    // A bad resize is not worth the session.
  }
}

async function pump(stream: NodeJS.ReadableStream, channel: number, socket: WebSocket): Promise<void> {
  for await (const chunk of stream) {
    if (socket.readyState !== socket.OPEN) continue;
    const sent = new Promise<void>((resolve) =>
      socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(chunk as Buffer)]), () => resolve()),
    );
    if (socket.bufferedAmount > HIGH_WATER) await sent;
  }
}

/** As Kubernetes words it, so that its clients find the exit code where they look for it. */
function exitStatus(exit: { exitCode?: number; signal?: number }): object {
  const code = exit.exitCode ?? 128 + (exit.signal ?? 0);
  if (code === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with exit code ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

function failureStatus(error: unknown): object {
  return {
    metadata: {},
    status: 'Failure',
    reason: 'InternalError',
    message: error instanceof Error ? error.message : String(error),
  };
}

function sendStatus(socket: WebSocket, status: object): void {
  if (socket.readyState === socket.OPEN)
    socket.send(Buffer.concat([Buffer.of(CHANNEL.status), Buffer.from(JSON.stringify(status))]));
}

function toBuffer(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
