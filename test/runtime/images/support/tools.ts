/** The real tools that make and serve images for these tests; installed from Debian when missing. */
import { execFileSync } from 'node:child_process';
import { staticBusybox } from '../../../setup/busybox.ts';
import { aptProblem } from '../../../setup/debian.ts';

const runs =
  (program: string, ...args: string[]) =>
  () =>
    execFileSync(program, args, { stdio: 'ignore' });

/** Why these tests cannot run; undefined when they can. */
export function imageToolsProblem(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root: layers have owners';
  const busybox = staticBusybox();
  if ('why' in busybox) return busybox.why;
  return (
    aptProblem('docker-registry', runs('docker-registry', '--version')) ??
    aptProblem('skopeo', runs('skopeo', '--version')) ??
    aptProblem('umoci', runs('umoci', '--version')) ??
    aptProblem('zstd', runs('zstd', '--version')) ??
    aptProblem('apache2-utils', runs('htpasswd', '-bn', 'a', 'b')) ??
    aptProblem('attr', runs('getfattr', '--version'))
  );
}

/** `describe`, or `describe.skip` with the reason printed. */
export function suiteWith<T>(run: T, skip: T, problem: string | undefined = imageToolsProblem()): T {
  if (problem === undefined) return run;
  process.stderr.write(`images: skipped, it ${problem}\n`);
  return skip;
}
