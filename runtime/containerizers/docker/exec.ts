/** A further command in a running container, through the engine. */
import { PassThrough, type Readable } from 'node:stream';
import type { ExecRequest, ExecSession } from '../containerizer.ts';
import { ContainerNotRunning } from '../native/exec.ts';
import { type DockerContext, engineName } from './context.ts';
import type { Engine } from './engine.ts';
import { readFrames } from './frames.ts';

interface ExecInspect {
  Running: boolean;
  ExitCode: number | null;
  Pid: number;
}

const pollMs = 20;

export async function execInContainer(context: DockerContext, request: ExecRequest): Promise<ExecSession> {
  const { engine, containers } = context;
  const { containerId, argv, env = {}, tty, stdin, size } = request;
  const container = containers.get(containerId);
  if (!container?.launched || container.ended) throw new ContainerNotRunning(containerId);
  const { Id } = await engine.call<{ Id: string }>('POST', `/containers/${engineName(containerId)}/exec`, {
    body: {
      AttachStdin: stdin,
      AttachStdout: true,
      AttachStderr: !tty,
      Tty: tty,
      Cmd: argv,
      Env: Object.entries({ ...(tty && { TERM: 'xterm' }), ...env }).map(([name, value]) => `${name}=${value}`),
    },
  });
  const socket = await engine.hijack(`/exec/${Id}/start`, { Detach: false, Tty: tty });
  socket.on('error', () => {}); // the end is told by the engine
  const resize = ({ columns, rows }: { columns: number; rows: number }): void =>
    void engine.call('POST', `/exec/${Id}/resize?h=${rows}&w=${columns}`).catch(() => {});
  if (tty && size) resize(size);
  const { stdout, stderr, ended } = tty ? terminal(socket) : pipes(socket);
  return {
    ...(stdin && { stdin: socket }),
    stdout,
    ...(stderr && { stderr }),
    resize,
    signal(signal) {
      void inspect(engine, Id)
        .then(({ Running, Pid }) => Running && Pid > 1 && process.kill(Pid, signal))
        .catch(() => {});
    },
    exit: ended.then(() => {
      socket.destroy();
      return exitOf(engine, Id);
    }),
  };
}

interface Output {
  stdout: Readable;
  stderr?: Readable;
  ended: Promise<void>;
}

function terminal(socket: Readable): Output {
  const stdout = socket.pipe(new PassThrough());
  return { stdout, ended: new Promise((resolve) => socket.once('close', resolve).once('end', resolve)) };
}

function pipes(socket: Readable): Output {
  const streams = { stdout: new PassThrough(), stderr: new PassThrough() };
  const copy = async (): Promise<void> => {
    for await (const { stream, data } of readFrames(socket)) {
      const target = streams[stream];
      if (!target.write(data)) await new Promise((resolve) => target.once('drain', resolve).once('close', resolve));
    }
  };
  const ended = copy()
    .catch(() => {})
    .finally(() => {
      streams.stdout.end();
      streams.stderr.end();
    });
  return { ...streams, ended };
}

/** The output may end a moment before the command is taken for ended. */
async function exitOf(engine: Engine, id: string): Promise<{ exitCode?: number; signal?: number }> {
  for (;;) {
    const { Running, ExitCode } = await inspect(engine, id);
    if (!Running) return { exitCode: ExitCode ?? 0 };
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

function inspect(engine: Engine, id: string): Promise<ExecInspect> {
  return engine.call<ExecInspect>('GET', `/exec/${id}/json`);
}
