import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Outcome } from './outcome.ts';
import { failedParts } from './together.ts';

const ROOT = new URL('../..', import.meta.url).pathname;

interface JestResult {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  numRuntimeErrorTestSuites: number;
  testResults: {
    name: string;
    status: string;
    /** Why the file could not be run, or all failures as text. */
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
}

/** More than so many are no accident. */
const MOST_REPEATED_FILES = 4;

/**
 * Runs Jest on folders and counts from its own report; a test file that cannot be loaded counts as one failure.
 * These tests share a machine and race its kernel: a few files that failed are run again by themselves. What fails twice has failed; what passes then is told
 * as flaky, by name, and is to be mended.
 */
export async function runJest(
  folders: string[],
  options: string[] = [],
  env: Record<string, string> = {},
): Promise<Outcome> {
  const present = folders.filter((folder) => existsSync(join(ROOT, folder)));
  if (present.length === 0) throw new Error(`no tests: ${folders.join(', ')} do not exist`);
  const first = await reportOf(present, options, env);
  const failed = failedFiles(first);
  if (failed.length === 0 || failed.length > MOST_REPEATED_FILES) return outcomeOf(first);
  process.stdout.write(`run again by themselves: ${failed.join(', ')}\n`);
  const second = await reportOf(failed, [...new Set(['--runInBand', ...options])], env);
  const stillFailed = new Set(failedFiles(second));
  const wasFlaky = (files: string[]) => !files.some((file) => stillFailed.has(file));
  const remarks = [...remarksOn(second, 'failed'), ...remarksOn(first, 'flaky', wasFlaky)];
  for (const remark of remarks) process.stdout.write(`${remark}\n`);
  const { passed, skipped } = outcomeOf(first);
  const again = outcomeOf(second);
  return { passed: passed - passedInBoth(first, second) + again.passed, failed: again.failed, skipped, remarks };
}

async function reportOf(places: string[], options: string[], env: Record<string, string>): Promise<JestResult> {
  const scratch = mkdtempSync(join(tmpdir(), 'tepui-jest-'));
  const report = join(scratch, 'report.json');
  try {
    const flags = [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
    ];
    const args = [
      ...flags,
      '--json',
      `--outputFile=${report}`,
      '--testLocationInResults=false',
      '--forceExit',
      ...options,
      ...places,
    ];
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'inherit'],
      // Agents and commands that tests start are not compiled each time.
      env: { NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/tepui'), ...process.env, ...env },
    });
    const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
    if (!existsSync(report)) throw new Error(`jest ended with code ${code} and wrote no report`);
    return JSON.parse(readFileSync(report, 'utf8')) as JestResult;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function outcomeOf(result: JestResult): Outcome {
  return {
    passed: result.numPassedTests,
    failed: result.numFailedTests + result.numRuntimeErrorTestSuites,
    skipped: result.numPendingTests + result.numTodoTests,
    remarks: remarksOn(result, 'failed'),
  };
}

/** A line for each test that failed: `flaky: FILE: NAME: the first words of why`. */
function remarksOn({ testResults }: JestResult, word: string, accepts = (_files: string[]) => true): string[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    if (status !== 'failed') return [];
    const tests = assertionResults.filter((each) => each.status === 'failed');
    if (tests.length === 0) {
      const files = failedParts(relative(ROOT, name), [message]);
      return accepts(files) ? [`${word}: ${files.join(', ')}: ${firstWords(message)}`] : [];
    }
    return tests.flatMap(({ fullName, failureMessages }) => {
      const files = failedParts(relative(ROOT, name), failureMessages);
      const why = firstWords(failureMessages.join('\n'));
      return accepts(files) ? [`${word}: ${files.join(', ')}: ${fullName}: ${why}`] : [];
    });
  });
}

/** Without colours, and without where in the code it was. */
function firstWords(text: string): string {
  const [words = ''] = stripVTControlCharacters(text).split(/\n\s+at /);
  return words.replace(/\s+/g, ' ').trim().slice(0, 300);
}

/** Below the checkout. */
function failedFiles({ testResults }: JestResult): string[] {
  const failed = testResults.filter(({ status }) => status === 'failed');
  const files = failed.flatMap(({ name, message, assertionResults }) =>
    failedParts(relative(ROOT, name), [message, ...assertionResults.flatMap((each) => each.failureMessages)]),
  );
  return [...new Set(files)];
}

/** Tests that passed the first time, of files that were run a second time: they count once. */
function passedInBoth(first: JestResult, second: JestResult): number {
  const again = new Set(testsOf(second).map(({ fullName }) => fullName));
  return testsOf(first).filter(({ status, fullName }) => status === 'passed' && again.has(fullName)).length;
}

function testsOf({ testResults }: JestResult) {
  return testResults.flatMap(({ assertionResults }) => assertionResults);
}
