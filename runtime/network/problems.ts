/** What of `spec.network` makes no sense, by field. Everything that ends up in /etc/hosts and /etc/resolv.conf is checked to be one word. Pure. */
import { isIP } from 'node:net';
import type { Task } from '../../crds/types.generated.ts';
import { interfaceNames } from './attachments.ts';

const HOST_NAME = /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/;
const WORD = /^[!-~]+$/;

/** Problems as `field: reason`; empty when there are none. */
export function networkProblems(task: Task): string[] {
  const { networks = [], hostAliases = [], dns = {} } = task.spec.network ?? {};
  const problems: string[] = [];
  const refuse = (bad: boolean, field: string, reason: string): void => {
    if (bad) problems.push(`spec.network.${field}: ${reason}`);
  };
  const names = interfaceNames(networks);
  for (const [index, { ipAddresses = [] }] of networks.entries()) {
    const name = names[index]!;
    const field = `networks[${index}]`;
    refuse(names.indexOf(name) !== index, `${field}.interfaceName`, `"${name}" is the name of an earlier interface`);
    refuse(['lo', '.', '..', 'all', 'default'].includes(name), `${field}.interfaceName`, `"${name}" cannot be used`);
    for (const [number, address] of ipAddresses.entries())
      refuse(!isAddress(address), `${field}.ipAddresses[${number}]`, `"${address}" is no IP address`);
  }
  for (const [index, { ip, hostnames }] of hostAliases.entries()) {
    refuse(isIP(ip) === 0, `hostAliases[${index}].ip`, `"${ip}" is no IP address`);
    for (const [number, name] of hostnames.entries())
      refuse(!HOST_NAME.test(name), `hostAliases[${index}].hostnames[${number}]`, `"${name}" is no host name`);
  }
  for (const [index, server] of (dns.nameservers ?? []).entries())
    refuse(isIP(server) === 0, `dns.nameservers[${index}]`, `"${server}" is no IP address`);
  for (const [index, domain] of (dns.search ?? []).entries())
    refuse(!HOST_NAME.test(domain) && domain !== '.', `dns.search[${index}]`, `"${domain}" is no domain`);
  for (const [index, option] of (dns.options ?? []).entries())
    refuse(!WORD.test(option), `dns.options[${index}]`, `"${option}" is no single word`);
  return problems;
}

function isAddress(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}
