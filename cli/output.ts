/** Standard output and error of a command, where they are pipes: the reader may be slow, and may go. */
import { EXIT_CODES } from './exit-codes.ts';

const STREAMS = [process.stdout, process.stderr];

let onReaderGone = (): void => process.exit(EXIT_CODES.readerGone.code);

/** A reader that goes (`| head`) ends a command without a word, as SIGPIPE, which Node ignores, ends other programs. */
export function watchReaders(): void {
  for (const stream of STREAMS) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      onReaderGone();
    });
  }
}

/** For a command that has something to take away first: `handler` takes the place of the end. */
export function whenReaderGoes(handler: () => void): void {
  onReaderGone = handler;
}

/** Resolves when all that was written is taken: `process.exit` would drop what a slow reader has not. */
export async function outputTaken(): Promise<void> {
  await Promise.all(
    STREAMS.filter((stream) => stream.writableLength > 0).map(
      (stream) => new Promise<void>((resolve) => stream.write('', () => resolve())),
    ),
  );
}
