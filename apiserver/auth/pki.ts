import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { writeSecretFile } from './atomic-file.ts';
import { makeCertificate, newPrivateKey, parsePrivateKey, privateKeyPem } from './certificate.ts';

const dayMs = 24 * 3600_000;
const caDays = 3650;
const serverDays = 365;
/** A certificate is renewed when less than this share of its life is left. */
const renewShare = 0.25;
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
export function ensureServerIdentity(directory: string, address: string, now = new Date()): ServerIdentity {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const ca = ensureCa(directory, now);
  const names = serverNames(address);
  const keyPath = join(directory, 'server.key');
  const certPath = join(directory, 'server.crt');
  if (!isUsable(certPath, keyPath, now, ca.cert, names)) {
    const key = newPrivateKey();
    const cert = makeCertificate({
      commonName: 'tepui-apiserver',
      publicKey: createPublicKey(key),
      ...validity(now, serverDays),
      names,
      isCa: false,
      issuer: { commonName: caName, privateKey: parsePrivateKey(ca.key) },
    });
    writeSecretFile(keyPath, privateKeyPem(key));
    writeSecretFile(certPath, cert);
  }
  const cert = readFileSync(certPath, 'utf8');
  return { key: readFileSync(keyPath, 'utf8'), cert, ca: ca.cert, renewAt: renewalOf(new X509Certificate(cert)) };
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

function ensureCa(directory: string, now: Date): { key: string; cert: string } {
  const keyPath = join(directory, 'ca.key');
  const certPath = join(directory, 'ca.crt');
  if (!isUsable(certPath, keyPath, now)) {
    const key = keptKey(keyPath) ?? newPrivateKey();
    const cert = makeCertificate({
      commonName: caName,
      publicKey: createPublicKey(key),
      ...validity(now, caDays),
      names: [],
      isCa: true,
      issuer: { commonName: caName, privateKey: key },
    });
    writeSecretFile(keyPath, privateKeyPem(key));
    writeSecretFile(certPath, cert);
  }
  return { key: readFileSync(keyPath, 'utf8'), cert: readFileSync(certPath, 'utf8') };
}

function keptKey(path: string): KeyObject | undefined {
  try {
    return parsePrivateKey(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** An hour back, for clients whose clocks are behind. */
function validity(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - 3600_000), notAfter: new Date(now.getTime() + days * dayMs) };
}

function renewalOf(certificate: X509Certificate): Date {
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  return new Date(to - (to - from) * renewShare);
}

/** Whether the pair exists, belongs together, is not near its end, and (for a server) is signed by the CA for all names. */
function isUsable(certPath: string, keyPath: string, now: Date, caCert?: string, names: string[] = []): boolean {
  if (!existsSync(certPath) || !existsSync(keyPath)) return false;
  try {
    const certificate = new X509Certificate(readFileSync(certPath));
    const key = parsePrivateKey(readFileSync(keyPath, 'utf8'));
    if (
      !certificate.checkPrivateKey(key) ||
      renewalOf(certificate) <= now ||
      Date.parse(certificate.validFrom) > now.getTime()
    ) {
      return false;
    }
    if (caCert === undefined) return true;
    const ca = new X509Certificate(caCert);
    if (!certificate.verify(ca.publicKey)) return false;
    return names.every((name) => certificate.checkHost(name) !== undefined || certificate.checkIP(name) !== undefined);
  } catch {
    // A damaged file is replaced: both can be made again.
    return false;
  }
}
