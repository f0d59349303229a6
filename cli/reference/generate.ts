/** `npm run generate` runs this: writes the pages of docs/reference that are made from the source. */
import { writeFileSync } from 'node:fs';
import { cliReference } from './command-line.ts';
import { errorReference } from './errors.ts';
import { metricsReference } from './metrics.ts';
import { rootlessReference } from './rootless.ts';

const pages = {
  cli: cliReference(),
  metrics: await metricsReference(),
  errors: errorReference(),
  rootless: rootlessReference(),
};

for (const [name, text] of Object.entries(pages))
  writeFileSync(new URL(`../../docs/reference/${name}.md`, import.meta.url), text);
