/** Content of a task's /etc/resolv.conf: the document's, else the network's, else the agent's. */
import { readFile } from 'node:fs/promises';
import type { DnsConfig } from '../../../crds/types.generated.ts';
import type { CniDns } from '../cni/result.ts';

export interface ResolvConfInput {
  document: DnsConfig | undefined;
  /** Of the networks, in order. */
  networks: CniDns[];
  /** The agent's own file. */
  host: string;
}

/** Servers, search domains and options each come from the first that has any; search and options not from below where the servers come from. Pure. */
export function resolvConf({ document, networks, host }: ResolvConfInput): string {
  const sources = [
    ...(document ? [document] : []),
    ...networks.map(({ nameservers, domain, search, options }) => ({
      nameservers,
      search: [...(domain ? [domain] : []), ...(search ?? []).filter((name) => name !== domain)],
      options,
    })),
    parseResolvConf(host),
  ];
  const serving = sources.findIndex(({ nameservers = [] }) => nameservers.length > 0);
  const usable = sources.slice(0, serving < 0 ? sources.length : serving + 1);
  const first = (key: 'nameservers' | 'search' | 'options'): string[] =>
    usable.map((source) => source[key] ?? []).find((list) => list.length > 0) ?? [];
  const [nameservers, search, options] = [first('nameservers'), first('search'), first('options')];
  return [
    '# Made by Tepui for this task.',
    ...(nameservers.length === 0 ? ['# No name server is known: give spec.network.dns.nameservers.'] : []),
    ...nameservers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
    '',
  ].join('\n');
}

/** Pure. */
export function parseResolvConf(text: string): Required<DnsConfig> {
  const parsed: Required<DnsConfig> = { nameservers: [], search: [], options: [] };
  for (const line of text.split('\n')) {
    const [key, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (key === 'nameserver' && values[0]) parsed.nameservers.push(values[0]);
    // The last of both counts, as in the C library.
    if (key === 'search' || key === 'domain') parsed.search = values;
    if (key === 'options') parsed.options.push(...values);
  }
  return parsed;
}

/**
 * The agent's file, for a network of a task's own: there a server on the host's loopback (systemd-resolved's stub at 127.0.0.53, a local dnsmasq) cannot
 * be reached. systemd keeps the real servers in a second file; otherwise such servers are left out.
 */
export async function hostResolvConf(
  isOwnNetwork: boolean,
  { path = '/etc/resolv.conf', behindStub = '/run/systemd/resolve/resolv.conf' } = {},
): Promise<string> {
  const text = await readText(path);
  if (!isOwnNetwork) return text;
  const { nameservers } = parseResolvConf(text);
  if (!nameservers.some(isLoopback)) return text;
  const behind = await readText(behindStub);
  const source = nameservers.every(isLoopback) && behind !== '' ? behind : text;
  return source
    .split('\n')
    .filter((line) => !isLoopback(/^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? ''))
    .join('\n');
}

function isLoopback(server: string): boolean {
  return /^127\.|^::1(%|$)|^::ffff:127\./.test(server);
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
