/** `npm run generate` runs this: writes docs/reference/cli.md from the command tree. */
import { writeFileSync } from 'node:fs';
import { cliReference } from './reference.ts';

writeFileSync(new URL('../docs/reference/cli.md', import.meta.url), cliReference());
