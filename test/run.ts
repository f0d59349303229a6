#!/usr/bin/env node
/**
 * `npm test [SUITE...]`: sets up what the suites need, runs them one after another, and closes with `N passed, N failed, N skipped`.
 * A suite that cannot run on this machine is skipped with its reason printed; nothing is skipped silently.
 */
import { type Outcome, SUITES } from './suites.ts';

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !SUITES.some((suite) => suite.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `test: unknown suite ${unknown.join(', ')}; there are ${SUITES.map((suite) => suite.name).join(', ')}\n`,
  );
  process.exit(2);
}

const total: Outcome = { passed: 0, failed: 0, skipped: 0 };
const skippedSuites: string[] = [];
for (const suite of SUITES) {
  if (asked.length > 0 ? !asked.includes(suite.name) : suite.onlyWhenAsked) continue;
  process.stdout.write(`\n=== ${suite.name}: ${suite.about}\n`);
  const started = performance.now();
  const reason = await suite.unavailable();
  if (reason) {
    skippedSuites.push(`${suite.name}: ${reason}`);
    process.stdout.write(`skipped: ${reason}\n`);
    continue;
  }
  let outcome: Outcome;
  try {
    outcome = await suite.run();
  } catch (error) {
    process.stdout.write(`${(error as Error).message}\n`);
    outcome = { passed: 0, failed: 1, skipped: 0 };
  }
  for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += outcome[key];
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stdout.write(
    `=== ${suite.name}: ${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped} skipped (${seconds} s)\n`,
  );
}

process.stdout.write('\n');
for (const skipped of skippedSuites) process.stdout.write(`suite skipped: ${skipped}\n`);
process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
