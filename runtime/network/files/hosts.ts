/** Content of a task's /etc/hosts. Pure. */
import type { HostAlias } from '../../../crds/types.generated.ts';

export interface HostsInput {
  /** With the host's network its own file goes on to be valid: it comes first. */
  hostFile?: string;
  hostname: string;
  /** Of the task. */
  addresses: string[];
  aliases: HostAlias[];
}

const HEADER = '# Made by Tepui for this task.\n';
const LOOPBACK = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n';

export function hostsFile({ hostFile, hostname, addresses, aliases }: HostsInput): string {
  const base = hostFile === undefined ? LOOPBACK : hostFile.replace(/\n*$/, '\n');
  // A task without an address finds itself at Debian's second loopback address, so that looking up one's own name works.
  const own = isNamed(base, hostname) ? [] : addresses.length > 0 ? addresses : ['127.0.1.1'];
  const lines = [
    ...own.map((address) => `${address}\t${hostname}`),
    ...aliases.map(({ ip, hostnames }) => `${ip}\t${hostnames.join(' ')}`),
  ];
  return `${HEADER}${base}${lines.map((line) => `${line}\n`).join('')}`;
}

function isNamed(content: string, hostname: string): boolean {
  return content.split('\n').some((line) => line.replace(/#.*/, '').trim().split(/\s+/).slice(1).includes(hostname));
}
