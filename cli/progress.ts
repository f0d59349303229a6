import { styleText } from 'node:util';

/** Prints the steps of long work on the terminal: one line each, with the time it took. Colours only on a TTY. */
export interface Progress {
  /** Runs a step: prints it with its outcome, and passes on what it returns or throws. */
  step<T>(title: string, work: () => Promise<T>, detail?: (result: T) => string): Promise<T>;
  line(text: string): void;
}

export function createProgress(out: NodeJS.WriteStream = process.stderr): Progress {
  const paint = (style: 'green' | 'red' | 'dim', text: string) => (out.isTTY ? styleText(style, text) : text);
  return {
    async step(title, work, detail) {
      const start = performance.now();
      if (out.isTTY) out.write(`${paint('dim', '…')} ${title}`);
      try {
        const result = await work();
        const took = paint('dim', `(${seconds(start)})`);
        const more = detail?.(result);
        out.write(`${out.isTTY ? '\r\x1b[K' : ''}${paint('green', '✔')} ${title}${more ? `: ${more}` : ''} ${took}\n`);
        return result;
      } catch (error) {
        out.write(`${out.isTTY ? '\r\x1b[K' : ''}${paint('red', '✘')} ${title}\n`);
        throw error;
      }
    },
    line(text) {
      out.write(`${text}\n`);
    },
  };
}

function seconds(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(2)} s`;
}
