/** Joins a WebSocket and a session: a command that was executed, or the container itself. */
import type { WebSocket } from 'ws';
import type { ExecSession } from '../../containerizers/containerizer.ts';
import { CHANNEL, keepAlive, messageOf, pump, sendOn } from './channels.ts';

const SIGKILL = 9;
const MOST_SIGNAL = 64;

/** Until the process ends. A client that goes takes a command with it; from a container it only detaches. */
export async function serveSession(socket: WebSocket, session: ExecSession): Promise<void> {
  const stopPings = keepAlive(socket);
  let ended = false;
  socket.on('message', (data, isBinary) => {
    const { stdin } = session;
    if (onMessage(messageOf(data), isBinary, session) || stdin === undefined) return;
    // A process that does not read slows its client down, and does not fill our memory.
    socket.pause();
    stdin.once('drain', () => socket.resume());
  });
  // A process may end without having read its input.
  session.stdin?.on('error', () => socket.resume());
  socket.on('close', () => {
    if (ended) return;
    if (session.detach) session.detach();
    else session.signal(SIGKILL);
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
    stopPings();
    socket.close(1000);
  }
}

/** For a session that could not begin. */
export function refuseSession(socket: WebSocket, error: unknown): void {
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
  if (channel === CHANNEL.close && payload[0] === CHANNEL.stdin) closeStdin(session);
  else if (channel === CHANNEL.resize) resize(payload, session);
  else if (channel === CHANNEL.signal) signal(payload, session);
  return true;
}

function closeStdin(session: ExecSession): void {
  if (session.closeStdin) session.closeStdin();
  else session.stdin?.end();
}

function signal(payload: Buffer, session: ExecSession): void {
  const number = Number(payload.toString('utf8'));
  if (Number.isInteger(number) && number > 0 && number <= MOST_SIGNAL) session.signal(number);
}

function resize(payload: Buffer, session: ExecSession): void {
  try {
    const { Width, Height } = JSON.parse(payload.toString('utf8')) as { Width?: number; Height?: number };
    if (isSize(Width) && isSize(Height)) session.resize({ columns: Width, rows: Height });
  } catch {
    // A bad resize is not worth the session.
  }
}

function isSize(value: number | undefined): value is number {
  return Number.isInteger(value) && value! > 0 && value! < 2 ** 16;
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
  const isError = error instanceof Error;
  return {
    metadata: {},
    status: 'Failure',
    // The class of the error: NotAttachable, Detached, LaunchFailed ...
    reason: isError && error.name !== 'Error' ? error.name : 'InternalError',
    message: isError ? error.message : String(error),
  };
}

function sendStatus(socket: WebSocket, status: object): void {
  sendOn(socket, CHANNEL.status, JSON.stringify(status));
}
