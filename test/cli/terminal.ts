/** A command in a real terminal, driven by a test. Python makes the terminal: Node cannot. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('./terminal.py', import.meta.url));

/** Why there are no terminals here; undefined when there are. */
export const noTerminals =
  spawnSync('python3', ['-c', 'import pty, termios']).status === 0 ? undefined : 'python3 is not installed';

export interface Terminal {
  child: ChildProcess;
  /** Everything that it has shown. */
  shown(): string;
  type(text: string): void;
  resize(columns: number, rows: number): void;
  /** Whether it is in raw mode now. */
  isRaw(): Promise<boolean>;
  exit: Promise<number | null>;
}

export function openTerminal(
  argv: string[],
  { columns = 80, rows = 24, env = {} }: { columns?: number; rows?: number; env?: Record<string, string> } = {},
): Terminal {
  const child = spawn('python3', [script, String(columns), String(rows), ...argv], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, TERM: 'xterm', ...env },
  });
  let shown = '';
  const asked: ((answer: boolean) => void)[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().trim().split('\n')) asked.shift()?.(line === 'raw');
  });
  child.stdin.on('error', () => {});
  const tell = (command: object): void => void child.stdin.write(`${JSON.stringify(command)}\n`);
  return {
    child,
    shown: () => shown,
    type: (text) => tell({ type: text }),
    resize: (...size) => tell({ size }),
    isRaw: () =>
      new Promise((resolve) => {
        asked.push(resolve);
        tell({ settings: true });
      }),
    exit: new Promise((resolve) => child.once('close', resolve)),
  };
}
