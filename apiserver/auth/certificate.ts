import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

export interface CertificateRequest {
  commonName: string;
  /** Of the certificate's owner. */
  publicKey: KeyObject;
  notBefore: Date;
  notAfter: Date;
  /** DNS names and IP addresses; empty for a CA. */
  names: string[];
  isCa: boolean;
  issuer: { commonName: string; privateKey: KeyObject };
}

/** A new P-256 key: small, quick to sign with, and known to every TLS client. */
export function newPrivateKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

export function parsePrivateKey(pem: string): KeyObject {
  return createPrivateKey(pem);
}

/** Makes an X.509 v3 certificate (ECDSA with SHA-256) as PEM. The library for it (15 MiB of memory) is loaded now, not at every start. */
export async function makeCertificate(request: CertificateRequest): Promise<string> {
  const { encodeCertificate } = await import('./x509.ts');
  return encodeCertificate(request);
}
