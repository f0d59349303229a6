import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';

const ROOT = new URL('../..', import.meta.url).pathname;

test('the demo holds every check, in less than a minute', () => {
  const started = performance.now();
  const demo = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', 'cli/demo/main.ts'], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 180_000,
  });
  expect(`${demo.stdout}\n${demo.stderr}`).toContain('Every check held');
  expect(demo.status).toBe(0);
  expect(demo.stdout).not.toContain('✘');
  // The demo's own promise to its user, not a race against the clock: it takes about a tenth of this.
  expect(performance.now() - started).toBeLessThan(60_000);
}, 200_000);
