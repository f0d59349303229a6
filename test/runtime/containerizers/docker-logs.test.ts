import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { eventually } from './harness.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-docker-logs-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('an agent killed at any moment knows how far it had copied a log: nothing is copied again but the last piece', async () => {
  const position = join(directory, 'position');
  const fixture = join(import.meta.dirname, 'fixtures/copying-agent.ts');
  for (let round = 0; round < 10; round++) {
    const agent = spawn(process.execPath, [fixture, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(agent.stdout, 'data');
    // Where it is killed before it has copied anything there is nothing to know.
    await eventually(() => readFileSync(position, 'utf8') !== '', 'the first line');
    await sleep(20 + Math.random() * 30);
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    const { time } = JSON.parse(readFileSync(position, 'utf8')) as { time: string };
    const last = /^line (\d+)$/.exec(readFileSync(join(directory, 'stdout'), 'utf8').trim().split('\n').at(-1)!);
    expect(Number(last?.[1]) - Date.parse(time) / 1000).toBeLessThanOrEqual(1);
  }
});
