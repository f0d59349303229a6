import { X509Certificate } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { keptCertificate, renewalOf } from './kept-certificate.ts';

const caDays = 3650;
const serverDays = 365;
const caName = 'tepui-ca';

export interface ServerIdentity {
  key: string;
  cert: string;
  ca: string;
  /** When to look again. */
  renewAt: Date;
}

/**
 * The server's certificate and its own CA, kept in `directory` (0700), made at first use and renewed in place when they near their end or the names changed.
 * A renewed CA keeps its key, so that what trusted the old one until its end goes on trusting.
 */
export async function ensureServerIdentity(
  directory: string,
  address: string,
  now = new Date(),
): Promise<ServerIdentity> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const wantedCa = { commonName: caName, days: caDays, isCa: true, keepKey: true };
  const ca = await keptCertificate(join(directory, 'ca'), wantedCa, now);
  const wanted = {
    commonName: 'tepui-apiserver',
    days: serverDays,
    names: serverNames(address),
    issuer: { commonName: caName, ...ca },
  };
  const server = await keptCertificate(join(directory, 'server'), wanted, now);
  return { ...server, ca: ca.cert, renewAt: renewalOf(new X509Certificate(server.cert)) };
}

/** Loopback under all its names, the host's name, and the address that was chosen (all of the host's, if that is "every address"). */
function serverNames(address: string): string[] {
  const own = ['localhost', '127.0.0.1', '::1', 'kubernetes', 'kubernetes.default.svc', hostname()];
  const chosen = address === '0.0.0.0' || address === '::' ? interfaceAddresses() : [address];
  return [...new Set([...own, ...chosen])].filter((name) => name !== '');
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));
}
