/** The one file that loads the X.509 library: import it only to make a certificate. */
import { createHash, createPublicKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { BitString, Integer, OctetString, Utf8String } from 'asn1js';
import {
  AttributeTypeAndValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  Extension,
  ExtKeyUsage,
  GeneralName,
  GeneralNames,
  PublicKeyInfo,
  RelativeDistinguishedNames,
  Time,
} from 'pkijs';
import type { CertificateRequest } from './certificate.ts';

const oids = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
};

export async function encodeCertificate(request: CertificateRequest): Promise<string> {
  const { issuer } = request;
  const certificate = new Certificate({
    version: 2, // Counted from 0: version 3.
    serialNumber: new Integer({ valueHex: serialNumber() }),
    subject: distinguishedName(request.commonName),
    issuer: distinguishedName(issuer.commonName),
    notBefore: time(request.notBefore),
    notAfter: time(request.notAfter),
    subjectPublicKeyInfo: PublicKeyInfo.fromBER(spkiOf(request.publicKey)),
    extensions: extensions(request),
  });
  const signer = issuer.privateKey.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  await certificate.sign(signer, 'SHA-256');
  return new X509Certificate(Buffer.from(certificate.toSchema().toBER())).toString();
}

/** Positive, and without a leading zero byte. */
function serialNumber(): Buffer {
  const bytes = Buffer.from(randomBytes(16));
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes;
}

function distinguishedName(commonName: string): RelativeDistinguishedNames {
  const attribute = new AttributeTypeAndValue({
    type: oids.commonName,
    value: new Utf8String({ value: commonName }),
  });
  return new RelativeDistinguishedNames({ typesAndValues: [attribute] });
}

/** UTCTime up to 2049, GeneralizedTime after and without fractions, as RFC 5280 demands. */
function time(date: Date): Time {
  const value = new Date(date);
  value.setUTCMilliseconds(0);
  return new Time({ type: value.getUTCFullYear() < 2050 ? 0 : 1, value });
}

function extensions(request: CertificateRequest): Extension[] {
  const issuerId = keyIdentifier(createPublicKey(request.issuer.privateKey));
  const list = [
    extension(oids.subjectKeyIdentifier, false, keyIdentifier(request.publicKey)),
    extension(oids.authorityKeyIdentifier, false, new AuthorityKeyIdentifier({ keyIdentifier: issuerId }).toSchema()),
    extension(oids.basicConstraints, true, new BasicConstraints({ cA: request.isCa }).toSchema()),
    extension(oids.keyUsage, true, keyUsage(request.isCa)),
  ];
  if (!request.isCa) {
    const names = new GeneralNames({ names: request.names.map(generalName) });
    list.push(
      extension(oids.extendedKeyUsage, false, new ExtKeyUsage({ keyPurposes: [oids.serverAuth] }).toSchema()),
      extension(oids.subjectAltName, false, names.toSchema()),
    );
  }
  return list;
}

function extension(id: string, critical: boolean, value: { toBER(): ArrayBuffer }): Extension {
  return new Extension({ extnID: id, critical, extnValue: value.toBER() });
}

/** keyCertSign and cRLSign for a CA, digitalSignature for a server. */
function keyUsage(isCa: boolean): BitString {
  return new BitString(
    isCa ? { valueHex: Buffer.from([0x06]), unusedBits: 1 } : { valueHex: Buffer.from([0x80]), unusedBits: 7 },
  );
}

/** Of the whole public key structure: CAs that are already out there are known by it. */
function keyIdentifier(publicKey: KeyObject): OctetString {
  return new OctetString({ valueHex: createHash('sha1').update(spkiOf(publicKey)).digest() });
}

function spkiOf(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' });
}

function generalName(name: string): GeneralName {
  if (!isIP(name)) return new GeneralName({ type: 2, value: name });
  return new GeneralName({ type: 7, value: new OctetString({ valueHex: ipBytes(name) }) });
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
