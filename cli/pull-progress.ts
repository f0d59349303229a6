import type { ImageProgress } from '../runtime/images/index.ts';
import { formatBytes } from './format.ts';

/** One line that follows a pull on a terminal; elsewhere a line per phase. */
export interface PullProgress {
  show(progress: ImageProgress): void;
  end(): void;
}

export function showPull(out: NodeJS.WriteStream, isQuiet: boolean): PullProgress {
  let phase: string | undefined;
  return {
    show(progress) {
      if (isQuiet) return;
      if (out.isTTY) out.write(`\r\x1b[K${describe(progress)}`);
      else if (progress.phase !== phase) out.write(`${describe(progress)}\n`);
      phase = progress.phase;
    },
    end() {
      if (phase !== undefined && out.isTTY) out.write('\r\x1b[K');
    },
  };
}

function describe({ phase, item, doneBytes, totalBytes }: ImageProgress): string {
  if (phase === 'Resolving' || totalBytes === 0) return `${phase} ${item}`;
  const percent = Math.floor((100 * doneBytes) / totalBytes);
  return `${phase} ${item}: ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)} (${percent} %)`;
}
