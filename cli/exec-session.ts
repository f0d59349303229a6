import type WebSocket from 'ws';
import { CliError, EXIT_CODES } from './exit-codes.ts';

/** Channel numbers of the Kubernetes remote command protocol, v5.channel.k8s.io; 255 closes the channel named after it. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const;

/** The Status that ends a session, as kubelets send it: the exit code is a cause named ExitCode. */
interface SessionStatus {
  status?: string;
  message?: string;
  reason?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

/** Connects a session's streams with this terminal until the command ends. Resolves with the exit code to end with. */
export function runSession(socket: WebSocket, options: { stdin: boolean; tty: boolean }): Promise<number> {
  const send = (channel: number, data: Uint8Array) => {
    if (socket.readyState === socket.OPEN) socket.send(Buffer.concat([Buffer.from([channel]), data]));
  };
  const resize = () =>
    send(CHANNEL.resize, Buffer.from(JSON.stringify({ Width: process.stdout.columns, Height: process.stdout.rows })));
  const onInput = (chunk: Buffer) => send(CHANNEL.stdin, chunk);
  const onInputEnd = () => send(CHANNEL.close, Buffer.from([CHANNEL.stdin]));
  return new Promise<number>((resolve, reject) => {
    let code: number | undefined;
    let failure: string | undefined;
    socket.once('open', () => {
      if (options.tty) {
        process.stdin.setRawMode(true);
        process.stdout.on('resize', resize);
        resize();
      }
      if (options.stdin) process.stdin.on('data', onInput).once('end', onInputEnd).resume();
    });
    socket.on('message', (data: Buffer) => {
      const payload = data.subarray(1);
      if (data[0] === CHANNEL.stdout) process.stdout.write(payload);
      else if (data[0] === CHANNEL.stderr) process.stderr.write(payload);
      else if (data[0] === CHANNEL.status) ({ code, failure } = outcomeOf(payload));
    });
    socket.once('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () =>
        reject(
          new CliError(messageOf(body) ?? `the agent answered ${response.statusCode}`, EXIT_CODES.taskNotRun.code),
        ),
      );
    });
    socket.once('error', (cause) =>
      reject(new CliError(`the agent cannot be reached: ${cause.message}`, EXIT_CODES.unreachable.code, { cause })),
    );
    socket.once('close', () => {
      if (code !== undefined) resolve(code);
      else
        reject(
          new CliError(failure ?? 'the agent closed the session before the command ended', EXIT_CODES.taskNotRun.code),
        );
    });
  }).finally(() => {
    process.stdin.off('data', onInput).off('end', onInputEnd).pause();
    process.stdout.off('resize', resize);
    if (options.tty) process.stdin.setRawMode(false);
  });
}

function outcomeOf(payload: Buffer): { code: number | undefined; failure: string | undefined } {
  const status = JSON.parse(payload.toString()) as SessionStatus;
  if (status.status === 'Success') return { code: 0, failure: undefined };
  const exit = status.details?.causes?.find((cause) => cause.reason === 'ExitCode');
  return { code: exit ? Number(exit.message) : undefined, failure: status.message };
}

function messageOf(body: string): string | undefined {
  try {
    return (JSON.parse(body) as { message?: string }).message;
  } catch {
    return body.trim() || undefined;
  }
}
