import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Where Debian puts them. */
export const CNI_PLUGINS = '/usr/lib/cni';

const needed = [`${CNI_PLUGINS}/bridge`, '/usr/sbin/iptables', '/bin/ip', '/bin/ping', '/usr/bin/curl'];

/** Installs Debian's CNI plug-ins (and iptables, which they call, and what the tests look with) when they are not there. Returns why there still are none. */
export function cniProblem(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (needed.every((path) => existsSync(path))) return undefined;
  try {
    const options = {
      stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    };
    const packages = ['containernetworking-plugins', 'iptables', 'iproute2', 'iputils-ping', 'curl'];
    execFileSync('apt-get', ['update', '-qq'], options);
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options);
  } catch (error) {
    return `needs Debian's containernetworking-plugins, which could not be installed: ${(error as Error).message}`;
  }
  return needed.every((path) => existsSync(path)) ? undefined : `needs CNI plug-ins in ${CNI_PLUGINS}`;
}
