/**
 * Runs inside the virtual machine: Jest on the folders and files named, one folder of tests at a time, with a slower clock; the result is one line.
 * An emulated processor now and then kills Node itself (SIGSEGV, SIGTRAP: seen in plain Node too): such a folder is run again, and it is said.
 */
import { globSync } from 'node:fs';
import { dirname } from 'node:path';
import { runJest } from './jest.ts';
import { type Outcome, sumOf } from './outcome.ts';
import { together } from './together.ts';

const ATTEMPTS = 3;
const outcomes: Outcome[] = [];
const files = process.argv
  .slice(2)
  .flatMap((place) => (place.endsWith('.test.ts') ? [place] : globSync(`${place}/**/*.test.ts`)));
// An area of the runtime is one, with the folders in it.
const folders = Map.groupBy(files.sort(), (file) => dirname(file).split('/').slice(0, 3).join('/'));
for (const [folder, tests] of folders) {
  const started = performance.now();
  const outcome = await runFolder(folder, together(folder, tests));
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stderr.write(
    `${folder}: ${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped} skipped (${seconds} s)\n`,
  );
  outcomes.push(outcome);
}
process.stdout.write(`OUTCOME ${JSON.stringify(sumOf(outcomes))}\n`);
process.exit(0);

async function runFolder(folder: string, tests: string[]): Promise<Outcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await runJest(tests, ['--runInBand'], {
        TEPUI_TEST_SLOW: '20',
        TEPUI_CRASH_ROUNDS: '2',
        TEPUI_TEST_NO_DOCKER: 'an emulated processor is too slow for a Docker Engine, whose calls then time out',
      });
    } catch (error) {
      const { message } = error as Error;
      process.stderr.write(`${folder}: ${message} (attempt ${attempt} of ${ATTEMPTS})\n`);
      if (attempt === ATTEMPTS) return { passed: 0, failed: 1, skipped: 0, remarks: [`failed: ${folder}: ${message}`] };
    }
  }
}
