import { existsSync } from 'node:fs';

const LICENCES = '/usr/share/common-licenses';

/**
 * The directory of texts whose words the demo counts: the licence texts that Debian and its kin install, else the project's
 * own text files, which must be where every user can read them.
 */
export function provideTexts(): string {
  return existsSync(LICENCES) ? LICENCES : new URL('../../docs', import.meta.url).pathname;
}
