import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome } from '../suites.ts';

const ROOT = new URL('../..', import.meta.url).pathname;

interface JestResult {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  numRuntimeErrorTestSuites: number;
}

/** Runs Jest on folders and counts from its own report; a test file that cannot be loaded counts as one failure. */
export async function runJest(
  folders: string[],
  options: string[] = [],
  env: Record<string, string> = {},
): Promise<Outcome> {
  const present = folders.filter((folder) => existsSync(join(ROOT, folder)));
  if (present.length === 0) throw new Error(`no tests: ${folders.join(', ')} do not exist`);
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
      ...present,
    ];
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...env },
    });
    const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
    if (!existsSync(report)) throw new Error(`jest ended with code ${code} and wrote no report`);
    const result = JSON.parse(readFileSync(report, 'utf8')) as JestResult;
    return {
      passed: result.numPassedTests,
      failed: result.numFailedTests + result.numRuntimeErrorTestSuites,
      skipped: result.numPendingTests + result.numTodoTests,
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
