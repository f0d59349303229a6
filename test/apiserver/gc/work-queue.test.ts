import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { WorkQueue } from '../../../apiserver/gc/work-queue.ts';

function queueOf(work: (key: string) => Promise<void>, concurrency = 2) {
  const stop = new AbortController();
  const errors: string[] = [];
  const queue = new WorkQueue({
    work,
    onError: (key, _, failures) => errors.push(`${key} ${failures}`),
    concurrency,
    signal: stop.signal,
  });
  return { queue, stop, errors };
}

test('a key is worked on once however often it was added, and again if it is added meanwhile', async () => {
  const seen: string[] = [];
  const { queue } = queueOf(async (key) => {
    seen.push(key);
    await sleep(10);
  });
  queue.add('a');
  queue.add('a');
  await sleep(5);
  queue.add('a');
  queue.add('a');
  await sleep(40);
  expect(seen).toEqual(['a', 'a']);
  expect(queue.idle).toBe(true);
});

test('no more keys are worked on at once than allowed', async () => {
  let active = 0;
  let most = 0;
  const { queue } = queueOf(async () => {
    active += 1;
    most = Math.max(most, active);
    await sleep(2);
    active -= 1;
  }, 3);
  for (let i = 0; i < 20; i++) queue.add(String(i));
  while (!queue.idle) await sleep(2);
  expect(most).toBe(3);
});

test('a failed key is tried again after growing pauses, and not after the end', async () => {
  let tries = 0;
  const { queue, stop, errors } = queueOf(async () => {
    tries += 1;
    throw new Error('not yet');
  });
  queue.add('a');
  await sleep(100);
  stop.abort();
  const before = tries;
  expect(before).toBeGreaterThanOrEqual(2);
  expect(before).toBeLessThanOrEqual(4);
  expect(errors.slice(0, 2)).toEqual(['a 1', 'a 2']);
  await sleep(150);
  expect(tries).toBe(before);
});
