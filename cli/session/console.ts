/** This process's own terminal or pipes, as one end of a session. */
import { spawnSync } from 'node:child_process';

export interface Console {
  /** Whether input is passed on key by key, as the container's terminal wants it. */
  readonly raw: boolean;
  size(): { columns: number; rows: number };
  /** Until the result is called. What is typed while nobody listens waits. */
  listen(handlers: { input?(chunk: Buffer): void; end?(): void; resize(): void }): () => void;
  /** Whether more can be taken at once; otherwise `drained` tells when. */
  write(stream: 'stdout' | 'stderr', data: Uint8Array): boolean;
  drained(stream: 'stdout' | 'stderr'): Promise<void>;
  /** Gives the terminal back as it was. */
  close(): void;
}

/** `raw` needs a terminal at standard input. Node itself puts the terminal right when a signal ends the process. */
export function openConsole({ raw }: { raw: boolean }): Console {
  const { stdin, stdout } = process;
  if (raw) makeRaw();
  return {
    raw,
    size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    listen({ input, end, resize }) {
      stdout.on('resize', resize);
      if (input) stdin.on('data', input).resume();
      if (input && end) stdin.once('end', end);
      return () => {
        stdout.off('resize', resize);
        if (input) stdin.off('data', input).pause();
        if (end) stdin.off('end', end);
      };
    },
    write: (stream, data) => process[stream].write(data),
    drained: (stream) => new Promise((resolve) => process[stream].once('drain', resolve)),
    close() {
      if (raw) stdin.setRawMode(false);
      stdin.pause();
    },
  };
}

/**
 * Node's raw mode still puts a carriage return before each line feed of the output. The container's terminal does that itself, or not, when a
 * full-screen program has asked for it not to: so ours must not. What is set here goes back with Node's own when raw mode ends.
 */
function makeRaw(): void {
  process.stdin.setRawMode(true);
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
}
