/** Kubernetes' url(), ip() and cidr() functions. */
import { BlockList, isIP } from 'node:net';
import type { Environment } from '@marcbachmann/cel-js';

export function registerNetwork(environment: Environment): void {
  registerUrl(environment);
  registerIp(environment);
  registerCidr(environment);
}

function registerUrl(environment: Environment): void {
  environment
    .registerType('kubernetes.URL', CelUrl)
    .registerFunction('url(string): kubernetes.URL', (text: string) => new CelUrl(text))
    .registerFunction('isURL(string): bool', (text: string) => succeeds(() => new CelUrl(text)))
    .registerFunction('kubernetes.URL.getScheme(): string', (self: CelUrl) => self.url?.protocol.slice(0, -1) ?? '')
    .registerFunction('kubernetes.URL.getHost(): string', (self: CelUrl) => self.url?.host ?? '')
    .registerFunction(
      'kubernetes.URL.getHostname(): string',
      (self: CelUrl) => self.url?.hostname.replace(/^\[|\]$/g, '') ?? '',
    )
    .registerFunction('kubernetes.URL.getPort(): string', (self: CelUrl) => self.url?.port ?? '')
    .registerFunction('kubernetes.URL.getEscapedPath(): string', (self: CelUrl) => self.path);
}

/** An absolute URL or an absolute path, as Go's url.ParseRequestURI accepts. */
class CelUrl {
  readonly url: URL | undefined;
  readonly path: string;
  constructor(text: string) {
    this.url = text.startsWith('/') ? undefined : new URL(text);
    const path = /^(?:[^:/?#]+:\/\/[^/?#]*)?([^?#]*)/.exec(text)?.[1] ?? '';
    this.path = path;
  }
}

function registerIp(environment: Environment): void {
  environment
    .registerType('net.IP', CelIp)
    .registerFunction('ip(string): net.IP', (text: string) => new CelIp(text))
    .registerFunction('isIP(string): bool', (text: string) => isIP(text) !== 0 && !text.includes('%'))
    .registerFunction('string(net.IP): string', (self: CelIp) => self.text)
    .registerFunction('net.IP.family(): int', (self: CelIp) => BigInt(self.family))
    .registerFunction('net.IP.isLoopback(): bool', (self: CelIp) =>
      self.family === 4 ? self.text.startsWith('127.') : self.text === '::1',
    )
    .registerFunction('net.IP.isUnspecified(): bool', (self: CelIp) => self.text === '0.0.0.0' || self.text === '::');
}

class CelIp {
  readonly text: string;
  readonly family: 4 | 6;
  constructor(text: string) {
    const family = text.includes('%') ? 0 : isIP(text);
    if (family === 0) throw new Error(`IP Address "${text}" parse error during conversion from string`);
    this.text = text;
    this.family = family as 4 | 6;
  }
}

function registerCidr(environment: Environment): void {
  environment
    .registerType('net.CIDR', CelCidr)
    .registerFunction('cidr(string): net.CIDR', (text: string) => new CelCidr(text))
    .registerFunction('isCIDR(string): bool', (text: string) => succeeds(() => new CelCidr(text)))
    .registerFunction('string(net.CIDR): string', (self: CelCidr) => `${self.ip.text}/${self.prefix}`)
    .registerFunction('net.CIDR.ip(): net.IP', (self: CelCidr) => self.ip)
    .registerFunction('net.CIDR.prefixLength(): int', (self: CelCidr) => BigInt(self.prefix))
    .registerFunction('net.CIDR.containsIP(string): bool', (self: CelCidr, text: string) =>
      self.contains(new CelIp(text)),
    )
    .registerFunction('net.CIDR.containsIP(net.IP): bool', (self: CelCidr, ip: CelIp) => self.contains(ip))
    .registerFunction('net.CIDR.containsCIDR(string): bool', (self: CelCidr, text: string) =>
      self.containsCidr(new CelCidr(text)),
    )
    .registerFunction('net.CIDR.containsCIDR(net.CIDR): bool', (self: CelCidr, other: CelCidr) =>
      self.containsCidr(other),
    );
}

class CelCidr {
  readonly ip: CelIp;
  readonly prefix: number;
  constructor(text: string) {
    const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
    if (!match) throw new Error(`network address parse error during conversion from string: "${text}"`);
    this.ip = new CelIp(match[1]!);
    this.prefix = Number(match[2]);
    if (this.prefix > (this.ip.family === 4 ? 32 : 128)) throw new Error(`invalid prefix length in "${text}"`);
  }

  contains(ip: CelIp): boolean {
    if (ip.family !== this.ip.family) return false;
    const network = new BlockList();
    const family = this.ip.family === 4 ? 'ipv4' : 'ipv6';
    network.addSubnet(this.ip.text, this.prefix, family);
    return network.check(ip.text, family);
  }

  containsCidr(other: CelCidr): boolean {
    return other.prefix >= this.prefix && this.contains(other.ip);
  }
}

function succeeds(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}
