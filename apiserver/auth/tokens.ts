import { hash as digest, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { UserInfo } from '../resources/definition.ts';
import { writeSecretFile } from './atomic-file.ts';

/** The group that may do everything. The embedded server knows no finer rights: who has a token is an administrator. */
export const adminGroup = 'system:masters';
export const authenticatedGroup = 'system:authenticated';
export const anonymous: UserInfo = { username: 'system:anonymous', groups: ['system:unauthenticated'] };

const admin: UserInfo = { username: 'tepui-admin', uid: 'tepui-admin', groups: [adminGroup, authenticatedGroup] };

export interface Authenticator {
  /** The user of a bearer token; undefined if nobody has it. */
  userOf(token: string): UserInfo | undefined;
}

/** Mode bits: group and others may read or write. */
const othersMayUse = 0o066;

interface KnownToken {
  hash: Buffer;
  user: UserInfo;
}

/**
 * Knows the administrator's token (only its hash is kept, in admin-token.sha256) and those of `tokens.csv` beside it, which may be edited
 * while the server runs. Its lines are `token,user,uid,"group1,group2"`, as for the genuine server; a token may be written `sha256:<hex>`.
 * A file that others than its owner may read or write counts as empty.
 */
export function createAuthenticator(directory: string, logger: Pick<Logger, 'error'>): Authenticator {
  const hashPath = join(directory, 'admin-token.sha256');
  const tokensPath = join(directory, 'tokens.csv');
  let admins = readAdminHash(hashPath);
  let users = readTokenFile(tokensPath, logger);
  let readAt = Date.now();

  const find = (hash: Buffer): UserInfo | undefined => {
    let found: UserInfo | undefined;
    // Every token is compared, in constant time: neither the match nor its place can be measured.
    for (const known of [...admins, ...users.tokens]) if (timingSafeEqual(known.hash, hash)) found = known.user;
    return found;
  };
  return {
    userOf(token) {
      const hash = hashOf(token);
      // At the very first start the token is written after this was made.
      if (admins.length === 0 || Date.now() - readAt >= 1000) {
        readAt = Date.now();
        admins = readAdminHash(hashPath);
        if (changedMs(tokensPath) !== users.changedMs) users = readTokenFile(tokensPath, logger);
      }
      return find(hash);
    },
  };
}

/** Whether this is the administrator's token; used at start to see if the kubeconfig is still good. */
export function isAdminToken(directory: string, token: string): boolean {
  return readAdminHash(join(directory, 'admin-token.sha256')).some((known) =>
    timingSafeEqual(known.hash, hashOf(token)),
  );
}

/** Makes a new administrator's token; the one before it ends. */
export function renewAdminToken(directory: string): string {
  const token = randomBytes(32).toString('base64url');
  writeSecretFile(join(directory, 'admin-token.sha256'), `${hashOf(token).toString('hex')}\n`);
  return token;
}

function readAdminHash(path: string): KnownToken[] {
  if (!existsSync(path)) return [];
  const hash = Buffer.from(readFileSync(path, 'utf8').trim(), 'hex');
  return hash.length === 32 ? [{ hash, user: admin }] : [];
}

function readTokenFile(path: string, logger: Pick<Logger, 'error'>): { tokens: KnownToken[]; changedMs: number } {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file === undefined) return { tokens: [], changedMs: 0 };
  const tokens: KnownToken[] = [];
  if (file.mode & othersMayUse) {
    const mode = (file.mode & 0o777).toString(8).padStart(4, '0');
    logger.error(
      { path, mode },
      'the token file is ignored: others than its owner may read or write it; run chmod 600 on it, and replace tokens that may be known',
    );
  } else {
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const known = parseLine(line.trim());
      if (known) tokens.push(known);
    }
  }
  return { tokens, changedMs: file.ctimeMs };
}

/** Undefined for comments, and for lines that are not of the form: one bad line must not lock everybody out. */
function parseLine(line: string): KnownToken | undefined {
  if (line === '' || line.startsWith('#')) return undefined;
  const [token, username, uid = '', groups = ''] = splitCsv(line);
  if (!token || !username) return undefined;
  const hash = token.startsWith('sha256:') ? Buffer.from(token.slice(7), 'hex') : hashOf(token);
  if (hash.length !== 32) return undefined;
  const named = groups.split(',').filter((group) => group !== '');
  return { hash, user: { username, ...(uid && { uid }), groups: [...named, authenticatedGroup] } };
}

function splitCsv(line: string): string[] {
  const fields = line.match(/"(?:[^"]|"")*"|[^,]+|(?<=,)(?=,|$)/g) ?? [];
  return fields.map((field) => (field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field).trim());
}

/** Of the content, or of who may read it. */
function changedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? 0;
}

function hashOf(token: string): Buffer {
  return digest('sha256', token, 'buffer');
}
