import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeSecretFile } from './atomic-file.ts';
import { makeCertificate, newPrivateKey, parsePrivateKey, privateKeyPem } from './certificate.ts';

const dayMs = 24 * 3600_000;
/** A certificate is renewed when less than this share of its life is left. */
const renewShare = 0.25;

export interface WantedCertificate {
  commonName: string;
  days: number;
  /** DNS names and IP addresses; none for a CA. */
  names?: string[];
  /** Absent: the certificate signs itself. */
  issuer?: { commonName: string; key: string; cert: string };
  isCa?: boolean;
  /** A renewed certificate keeps its key, so that what trusts the old one goes on trusting. */
  keepKey?: boolean;
}

/** PEM. */
export interface KeptCertificate {
  key: string;
  cert: string;
}

/** The pair in `<path>.key` and `<path>.crt`; made if it is missing, damaged, near its end, or not what is wanted. */
export async function keptCertificate(path: string, wanted: WantedCertificate, now: Date): Promise<KeptCertificate> {
  const paths = { key: `${path}.key`, cert: `${path}.crt` };
  const kept = read(paths);
  if (kept && isUsable(kept, wanted, now)) return kept;
  const privateKey = (wanted.keepKey ? keyIn(paths.key) : undefined) ?? newPrivateKey();
  const { commonName, days, names = [], issuer, isCa = false } = wanted;
  const cert = await makeCertificate({
    commonName,
    publicKey: createPublicKey(privateKey),
    // An hour back, for clients whose clocks are behind.
    notBefore: new Date(now.getTime() - 3600_000),
    notAfter: new Date(now.getTime() + days * dayMs),
    names,
    isCa,
    issuer: issuer
      ? { commonName: issuer.commonName, privateKey: parsePrivateKey(issuer.key) }
      : { commonName, privateKey },
  });
  const made = { key: privateKeyPem(privateKey), cert };
  writeSecretFile(paths.key, made.key);
  writeSecretFile(paths.cert, made.cert);
  return made;
}

/** When it is time for a new one. */
export function renewalOf(certificate: X509Certificate): Date {
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  return new Date(to - (to - from) * renewShare);
}

function read(paths: KeptCertificate): KeptCertificate | undefined {
  if (!existsSync(paths.key) || !existsSync(paths.cert)) return undefined;
  return { key: readFileSync(paths.key, 'utf8'), cert: readFileSync(paths.cert, 'utf8') };
}

function keyIn(path: string): KeyObject | undefined {
  try {
    return parsePrivateKey(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Whether the pair belongs together, is not near its end, and is signed by the issuer for all names. */
function isUsable(kept: KeptCertificate, wanted: WantedCertificate, now: Date): boolean {
  try {
    const certificate = new X509Certificate(kept.cert);
    const issuer = wanted.issuer ? new X509Certificate(wanted.issuer.cert) : certificate;
    return (
      certificate.subject === `CN=${wanted.commonName}` &&
      certificate.checkPrivateKey(parsePrivateKey(kept.key)) &&
      now < renewalOf(certificate) &&
      Date.parse(certificate.validFrom) <= now.getTime() &&
      certificate.verify(issuer.publicKey) &&
      (wanted.names ?? []).every(
        (name) => certificate.checkHost(name) !== undefined || certificate.checkIP(name) !== undefined,
      )
    );
  } catch {
    // A damaged file is replaced: both can be made again.
    return false;
  }
}
