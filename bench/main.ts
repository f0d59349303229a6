#!/usr/bin/env node
/** `npm run bench [NAME...]`: runs the benchmarks one after another. They print figures beside a peer's from the same run, and never fail by the clock. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const here = import.meta.dirname;
const all = readdirSync(here)
  .filter((file) => file.endsWith('.ts') && file !== 'main.ts')
  .map((file) => file.slice(0, -3));
const asked = process.argv.slice(2);
for (const name of asked.length > 0 ? asked : all) {
  const file = join(here, `${name}.ts`);
  if (!existsSync(file)) {
    process.stderr.write(`bench: there is no "${name}": choose from ${all.join(', ')}\n`);
    process.exit(2);
  }
  process.stdout.write(`\n# ${name}\n`);
  const { status } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', file], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
