import { execFileSync } from 'node:child_process';

/** Installs Debian's kubectl when there is none on PATH. Returns why there still is none. */
export async function kubectlProblem(): Promise<string | undefined> {
  if (works()) return undefined;
  if (process.getuid?.() !== 0) return 'needs kubectl on PATH (as root it would be installed from Debian)';
  try {
    const options = {
      stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    };
    execFileSync('apt-get', ['update', '-qq'], options);
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'kubernetes-client'], options);
  } catch (error) {
    return `needs kubectl, and Debian's kubernetes-client could not be installed: ${(error as Error).message}`;
  }
  return works() ? undefined : 'needs kubectl on PATH';
}

function works(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
