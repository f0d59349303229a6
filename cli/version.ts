import { existsSync, readFileSync } from 'node:fs';

/** The version in package.json, which lies one level up in a checkout and two in the compiled package. */
export const VERSION: string = readVersion();

function readVersion(): string {
  for (const place of ['../package.json', '../../package.json']) {
    const url = new URL(place, import.meta.url);
    if (existsSync(url)) return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;
  }
  return 'unknown';
}
