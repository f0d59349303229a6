import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cachedBuild, compile } from '../../../runtime/launcher/build.ts';

const source = fileURLToPath(new URL('probe.c', import.meta.url));
const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);

/** The path of the hostile program, static; built when there is none of this source. */
export function buildProbe(): Promise<string> {
  return cachedBuild(`escape-probe-${hash}`, async (output) => {
    await compile(['-O1', '-Wall', '-Wextra', '-Werror', '-static', '-s', '-o', output, source]);
  });
}
