import { execFileSync } from 'node:child_process';

/** Installs a Debian package when `works` throws. Returns why it still does not work; undefined when it does. */
export function aptProblem(name: string, works: () => unknown): string | undefined {
  if (succeeds(works)) return undefined;
  if (process.getuid?.() !== 0) return `needs ${name} (as root it would be installed from Debian)`;
  try {
    const options = {
      stdio: ['ignore', 'ignore', 'pipe'] as ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    };
    execFileSync('apt-get', ['update', '-qq'], options);
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name], options);
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer };
    return `needs ${name}, which could not be installed: ${stderr?.toString().trim().split('\n').at(-1) || message}`;
  }
  return succeeds(works) ? undefined : `needs ${name}: it is installed and does not work`;
}

function succeeds(works: () => unknown): boolean {
  try {
    works();
    return true;
  } catch {
    return false;
  }
}
