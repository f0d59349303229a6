import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openBundles } from '../../../runtime/containerizers/oci/bundles.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-bundles-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('a command that ran when the agent was killed leaves no environment, and does not keep the next from running one', () => {
  const killed = openBundles(directory);
  killed.write('c', { ociVersion: '1.0.2' });
  killed.writeExec('c', '7-0', { env: ['PASSWORD=x'] });
  const next = openBundles(directory);
  expect(readdirSync(join(directory, 'c'))).toEqual(['config.json']);
  // The agent of a pod has the same pid each time.
  const { process, remove } = next.writeExec('c', '7-0', { env: [] });
  expect(JSON.parse(readFileSync(process, 'utf8'))).toEqual({ env: [] });
  remove();
  expect(readdirSync(join(directory, 'c'))).toEqual(['config.json']);
});
