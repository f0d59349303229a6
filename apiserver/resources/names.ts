import { randomInt } from 'node:crypto';

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const labelPattern = new RegExp(`^${label}$`);
const subdomainPattern = new RegExp(`^${label}(\\.${label})*$`);

/** Why a text cannot be the name of an object; undefined if it can. */
export function subdomainProblem(name: string): string | undefined {
  if (name.length > 253) return 'must be no more than 253 characters';
  if (subdomainPattern.test(name)) return undefined;
  return (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an " +
    `alphanumeric character (e.g. 'example.com', regex used for validation is '${label}(\\.${label})*')`
  );
}

/** The stricter form of namespaces, whose names become parts of DNS names. */
export function labelProblem(name: string): string | undefined {
  if (name.length > 63) return 'must be no more than 63 characters';
  if (labelPattern.test(name)) return undefined;
  return (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an " +
    `alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${label}')`
  );
}

/** No vowels and no digits that look like letters: nothing readable comes out by accident. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
const suffixLength = 5;
const maxGeneratedLength = 63;

/** `web-` becomes `web-x7k2p`. */
export function generateName(prefix: string): string {
  let suffix = '';
  for (let i = 0; i < suffixLength; i++) suffix += alphabet[randomInt(alphabet.length)];
  return prefix.slice(0, maxGeneratedLength - suffixLength) + suffix;
}
