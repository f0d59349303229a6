/** Joins this terminal and a session of an agent, until one of them ends it. */
import type WebSocket from 'ws';
import { CHANNEL } from '../../runtime/agent/endpoint/channels.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import type { Console } from './console.ts';
import { createDetachFilter } from './detach-keys.ts';

export interface SessionOptions {
  /** Pass standard input on. */
  stdin: boolean;
  /** The other end is a terminal: it is told the size of this one. */
  tty: boolean;
  /** Tell the other end when standard input ends. Default true. */
  passEnd?: boolean;
  /** Have what runs in the terminal draw anew, which it does when the size changes. */
  redraw?: boolean;
  /** With these typed the session ends and the container goes on. Default none. */
  detachKeys?: Buffer;
  /** Have what runs wait while nobody takes its output here. Not for a container: its agent drops who does not take the output in time. */
  holdsUp?: boolean;
  /** Pass on the signals that ask this process to end; a second one ends it. */
  passSignals?: boolean;
}

export type Outcome =
  | { kind: 'ended'; code: number }
  | { kind: 'detached' }
  /** The connection broke, or the agent went. */
  | { kind: 'lost' };

/** The Status that ends a session, as kubelets send it: the exit code is a cause named ExitCode. */
interface SessionStatus {
  status?: string;
  message?: string;
  reason?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1, SIGQUIT: 3 } as const;

/** Rejects with a CliError when the session is refused or fails; `EXIT_CODES.notFound` when there is no such (running) container. */
export function runSession(socket: WebSocket, console: Console, options: SessionOptions): Promise<Outcome> {
  const send = (channel: number, data: Uint8Array | string) => {
    if (socket.readyState === socket.OPEN) socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(data)]));
  };
  const sendSize = (more = 0) => {
    const { columns, rows } = console.size();
    send(CHANNEL.resize, JSON.stringify({ Width: columns + more, Height: rows + more }));
  };
  const write = (stream: 'stdout' | 'stderr', payload: Buffer) => {
    if (console.write(stream, payload) || !options.holdsUp || socket.isPaused) return;
    socket.pause();
    void console.drained(stream).then(() => socket.resume());
  };
  const filter = createDetachFilter(options.detachKeys ?? Buffer.alloc(0));
  const undo: (() => void)[] = [];
  return new Promise<Outcome>((resolve, reject) => {
    let outcome: Outcome = { kind: 'lost' };
    let failure: CliError | undefined;
    socket.once('open', () => {
      if (options.tty && options.redraw) sendSize(1);
      if (options.tty) sendSize();
      const input = (chunk: Buffer): void => {
        const { data, detached } = filter.pass(chunk);
        if (data.length > 0) send(CHANNEL.stdin, data);
        if (!detached) return;
        outcome = { kind: 'detached' };
        socket.close(1000);
      };
      const end = (): void => {
        if (options.passEnd ?? true) send(CHANNEL.close, Buffer.of(CHANNEL.stdin));
      };
      undo.push(
        console.listen({
          ...(options.stdin && { input, end }),
          resize: () => {
            if (options.tty) sendSize();
          },
        }),
      );
      if (options.passSignals) undo.push(passSignals((signal) => send(CHANNEL.signal, String(signal))));
    });
    socket.on('message', (data: Buffer) => {
      const payload = data.subarray(1);
      if (data[0] === CHANNEL.stdout) write('stdout', payload);
      else if (data[0] === CHANNEL.stderr) write('stderr', payload);
      else if (data[0] === CHANNEL.status) {
        const end = endOf(payload);
        if (end instanceof CliError) failure = end;
        else outcome = end;
      }
    });
    socket.once('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () => {
        const code = response.statusCode === 404 ? EXIT_CODES.notFound.code : EXIT_CODES.taskNotRun.code;
        reject(new CliError(messageOf(body) ?? `the agent answered ${response.statusCode}`, code));
      });
    });
    socket.once('error', (cause) =>
      reject(new CliError(`the agent cannot be reached: ${cause.message}`, EXIT_CODES.unreachable.code, { cause })),
    );
    socket.once('close', () => (failure ? reject(failure) : resolve(outcome)));
  }).finally(() => {
    for (const each of undo) each();
  });
}

function passSignals(send: (signal: number) => void): () => void {
  let asked = false;
  const handlers = Object.entries(SIGNALS).map(([name, number]) => {
    const handler = (): void => {
      if (asked) process.exit(EXIT_CODES.signalBase.code + number);
      asked = true;
      send(number);
    };
    process.on(name, handler);
    return () => void process.off(name, handler);
  });
  return () => {
    for (const undo of handlers) undo();
  };
}

function endOf(payload: Buffer): Outcome | CliError {
  const status = JSON.parse(payload.toString()) as SessionStatus;
  if (status.status === 'Success') return { kind: 'ended', code: 0 };
  const exit = status.details?.causes?.find((cause) => cause.reason === 'ExitCode');
  if (exit) return { kind: 'ended', code: Number(exit.message) };
  const codes: Record<string, number> = {
    ContainerNotRunning: EXIT_CODES.notFound.code,
    Detached: EXIT_CODES.failed.code,
  };
  return new CliError(
    status.message ?? 'the agent ended the session',
    codes[status.reason ?? ''] ?? EXIT_CODES.taskNotRun.code,
  );
}

function messageOf(body: string): string | undefined {
  try {
    return (JSON.parse(body) as { message?: string }).message;
  } catch {
    return body.trim() || undefined;
  }
}
