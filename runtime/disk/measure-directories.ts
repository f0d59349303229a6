/**
 * How much disk many directories take, by one `du` for all of them: it walks by descriptors, however deep and whatever is renamed meanwhile,
 * follows no link and leaves other file systems out.
 */
import { spawn } from 'node:child_process';
import { measureDirectory } from '../volumes/measure.ts';

/**
 * Tells the bytes on disk of each directory as soon as it is measured, in their order; what does not exist is left out. Runs at the lowest
 * priority. Resolves when all are told, or when the signal fires.
 */
export async function measureDirectories(
  directories: string[],
  onMeasured: (directory: string, bytes: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  if (directories.length === 0 || signal?.aborted) return;
  const ran = await runDu(directories, onMeasured, signal);
  if (ran || signal?.aborted) return;
  // No GNU du here (a minimal system): the same in this process.
  for (const directory of directories) {
    const bytes = await measureDirectory(directory).catch(() => undefined);
    if (signal?.aborted) return;
    if (bytes !== undefined) onMeasured(directory, bytes);
  }
}

/** false: it could not be run, and nothing was told. */
function runDu(
  directories: string[],
  onMeasured: (directory: string, bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn('nice', ['-n', '19', 'du', '-s', '-x', '-0', '-B1', '--files0-from=-'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    });
    let told = 0;
    let rest = '';
    const end = (): void => void child.kill('SIGKILL');
    signal?.addEventListener('abort', end, { once: true });
    child.stdin.on('error', () => {});
    child.stdin.end(directories.map((directory) => `${directory}\0`).join(''));
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\0');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const tab = line.indexOf('\t');
        told += 1;
        onMeasured(line.slice(tab + 1), Number(line.slice(0, tab)));
      }
    });
    child.once('error', () => resolve(false));
    child.once('close', (code) => {
      signal?.removeEventListener('abort', end);
      // Not 0 although something was told: a directory vanished, and the rest was measured.
      resolve(code === 0 || told > 0);
    });
  });
}
