import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { isIP } from 'node:net';
import {
  bitString,
  boolean,
  context,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from './der.ts';

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

/** Makes an X.509 v3 certificate (ECDSA with SHA-256) as PEM. */
export function makeCertificate(request: CertificateRequest): string {
  const algorithm = sequence(objectIdentifier('1.2.840.10045.4.3.2'));
  const spki = request.publicKey.export({ type: 'spki', format: 'der' });
  const body = sequence(
    context(0, integer(Buffer.of(2)), true), // version 3
    integer(serialNumber()),
    algorithm,
    distinguishedName(request.issuer.commonName),
    sequence(time(request.notBefore), time(request.notAfter)),
    distinguishedName(request.commonName),
    spki,
    context(3, sequence(...extensions(request, spki)), true),
  );
  const signature = sign('sha256', body, request.issuer.privateKey);
  const der = sequence(body, algorithm, bitString(signature));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes;
}

function distinguishedName(commonName: string): Buffer {
  return sequence(set(sequence(objectIdentifier('2.5.4.3'), utf8String(commonName))));
}

function extensions(request: CertificateRequest, spki: Buffer): Buffer[] {
  const issuerSpki = createPublicKey(request.issuer.privateKey).export({ type: 'spki', format: 'der' });
  const list = [
    extension('2.5.29.14', false, octetString(keyIdentifier(spki))),
    extension('2.5.29.35', false, sequence(context(0, keyIdentifier(issuerSpki), false))),
    extension('2.5.29.19', true, request.isCa ? sequence(boolean(true)) : sequence()),
    // keyCertSign and cRLSign for a CA, digitalSignature for a server.
    extension('2.5.29.15', true, request.isCa ? bitString(Buffer.of(0x06), 1) : bitString(Buffer.of(0x80), 7)),
  ];
  if (!request.isCa) {
    list.push(extension('2.5.29.37', false, sequence(objectIdentifier('1.3.6.1.5.5.7.3.1'))));
    list.push(extension('2.5.29.17', false, sequence(...request.names.map(generalName))));
  }
  return list;
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectIdentifier(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

function keyIdentifier(spki: Buffer): Buffer {
  return createHash('sha1').update(spki).digest();
}

function generalName(name: string): Buffer {
  return isIP(name) ? context(7, ipBytes(name), false) : context(2, Buffer.from(name), false);
}

function ipBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // A URL writes every IPv6 address in one way, with a dotted tail turned into hex.
  const [head = '', tail] = new URL(`http://[${address.split('%')[0]}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string | undefined) => (text ? text.split(':').map((group) => Number.parseInt(group, 16)) : []);
  const front = groups(head);
  const back = groups(tail);
  const middle = new Array<number>(8 - front.length - back.length).fill(0);
  return Buffer.from([...front, ...middle, ...back].flatMap((group) => [group >> 8, group & 0xff]));
}
