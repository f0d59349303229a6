#!/usr/bin/env node
/**
 * `npm test [SUITE...]`: sets up what the suites need, runs them one after another, and closes with `N passed, N failed, N skipped`.
 * A suite that cannot run on this machine is skipped with its reason printed; nothing is skipped silently.
 */
import { type Outcome, sumOf } from './setup/outcome.ts';
import { SUITES } from './suites.ts';

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !SUITES.some((suite) => suite.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `test: unknown suite ${unknown.join(', ')}; there are ${SUITES.map((suite) => suite.name).join(', ')}\n`,
  );
  process.exit(2);
}

const outcomes: Outcome[] = [];
const skippedSuites: string[] = [];
for (const suite of SUITES) {
  if (asked.length > 0 && !asked.includes(suite.name)) continue;
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
    const { message } = error as Error;
    process.stdout.write(`${message}\n`);
    outcome = { passed: 0, failed: 1, skipped: 0, remarks: [`failed: ${message}`] };
  }
  outcomes.push({ ...outcome, remarks: outcome.remarks.map((remark) => `${suite.name}: ${remark}`) });
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stdout.write(
    `=== ${suite.name}: ${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped} skipped (${seconds} s)\n`,
  );
}

const total = sumOf(outcomes);
process.stdout.write('\n');
for (const remark of total.remarks) process.stdout.write(`${remark}\n`);
for (const skipped of skippedSuites) process.stdout.write(`suite skipped: ${skipped}\n`);
process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
