import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createRetryDelay, TokenBucket } from '../../../../controllers/machinery/queue/rate-limit.ts';
import { WorkQueue } from '../../../../controllers/machinery/queue/work-queue.ts';
import { createManualClock } from '../manual-clock.ts';

function setUp() {
  const clock = createManualClock();
  return { clock, queue: new WorkQueue({ clock }) };
}

/** What `take` gives without waiting, or `nothing`. */
async function takeNow(queue: WorkQueue): Promise<string | undefined> {
  return Promise.race([queue.take(), new Promise<string>((resolve) => setImmediate(() => resolve('nothing')))]);
}

describe('a work queue', () => {
  test('hands out keys in the order in which they were added', async () => {
    const { queue } = setUp();
    for (const key of ['a', 'b', 'c']) queue.add(key);
    expect([await queue.take(), await queue.take(), await queue.take()]).toEqual(['a', 'b', 'c']);
  });

  test('holds a key once however often it is added', async () => {
    const { queue } = setUp();
    for (let round = 0; round < 5; round++) queue.add('a');
    expect(queue.depth).toBe(1);
    expect(await queue.take()).toBe('a');
    expect(await takeNow(queue)).toBe('nothing');
  });

  test('never hands out a key that is being worked on, but once more afterwards', async () => {
    const { queue } = setUp();
    queue.add('a');
    await queue.take();
    queue.add('a');
    queue.add('a');
    const next = queue.take();
    expect(await Promise.race([next, new Promise((resolve) => setImmediate(() => resolve('nothing')))])).toBe(
      'nothing',
    );
    queue.done('a');
    expect(await next).toBe('a');
    queue.done('a');
    expect(queue.depth).toBe(0);
  });

  test('works on different keys at the same time', async () => {
    const { queue } = setUp();
    queue.add('a');
    queue.add('b');
    expect(await Promise.all([queue.take(), queue.take()])).toEqual(['a', 'b']);
  });

  test('wakes a worker that waits', async () => {
    const { queue } = setUp();
    const waiting = queue.take();
    queue.add('a');
    expect(await waiting).toBe('a');
  });

  test('a delayed key comes at its time', async () => {
    const { clock, queue } = setUp();
    queue.addAfter('a', 100);
    await clock.advance(99);
    expect(queue.depth).toBe(0);
    await clock.advance(1);
    expect(queue.depth).toBe(1);
  });

  test('of several delays the earliest counts', async () => {
    const { clock, queue } = setUp();
    queue.addAfter('a', 100);
    queue.addAfter('a', 10);
    queue.addAfter('a', 1000);
    expect(clock.pending).toBe(1);
    await clock.advance(10);
    expect(queue.depth).toBe(1);
  });

  test('an immediate add covers a delayed one', async () => {
    const { clock, queue } = setUp();
    queue.addAfter('a', 100);
    queue.add('a');
    await queue.take();
    queue.done('a');
    await clock.advance(1000);
    expect(queue.depth).toBe(0);
  });

  test('a delay that ends while the key is worked on gives it out again afterwards', async () => {
    const { clock, queue } = setUp();
    queue.add('a');
    await queue.take();
    queue.addAfter('a', 10);
    await clock.advance(10);
    expect(queue.depth).toBe(0);
    queue.done('a');
    expect(queue.depth).toBe(1);
  });

  test('a shut down queue gives nothing and leaves no timers', async () => {
    const { clock, queue } = setUp();
    const waiting = queue.take();
    queue.addAfter('b', 10);
    queue.shutDown();
    queue.add('c');
    expect(await waiting).toBeUndefined();
    expect(await queue.take()).toBeUndefined();
    expect(clock.pending).toBe(0);
  });

  test('giving back a key that was not taken changes nothing', () => {
    const { queue } = setUp();
    queue.done('a');
    expect(queue.depth).toBe(0);
  });

  test('no key is lost and none runs twice at a time, whatever the order of adds, takes and dones', async () => {
    type Step = { op: 'add' | 'later' | 'take' | 'done'; key: string };
    const step = fc.record({
      op: fc.constantFrom('add', 'later', 'take', 'done'),
      key: fc.constantFrom('a', 'b', 'c'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step as fc.Arbitrary<Step>, { maxLength: 30 }), async (steps) => {
        const { clock, queue } = setUp();
        const running = new Set<string>();
        const owed = new Set<string>();
        for (const { op, key } of steps) {
          if (op === 'add' || op === 'later') {
            owed.add(key);
            if (op === 'add') queue.add(key);
            else queue.addAfter(key, 5);
          } else if (op === 'take' && queue.depth > 0) {
            const taken = (await queue.take())!;
            expect(running.has(taken)).toBe(false);
            running.add(taken);
            owed.delete(taken);
          } else if (op === 'done' && running.delete(key)) queue.done(key);
        }
        await clock.advance(10);
        for (const key of running) queue.done(key);
        while (queue.depth > 0) owed.delete((await queue.take())!);
        expect([...owed]).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });
});

describe('retries', () => {
  test('the delay of a key doubles from 5 ms to 1000 s', () => {
    const delay = createRetryDelay(() => 0, { perSecond: 1e9, burst: 1e9 });
    const delays = Array.from({ length: 20 }, () => delay.next('a'));
    expect(delays.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(delays.at(-1)).toBe(1_000_000);
    expect(delay.next('b')).toBe(5);
  });

  test('success starts the delay anew', () => {
    const delay = createRetryDelay(() => 0);
    delay.next('a');
    delay.next('a');
    expect(delay.failures('a')).toBe(2);
    delay.forget('a');
    expect(delay.next('a')).toBe(5);
  });

  test('all keys together are retried at most ten times a second after a burst of a hundred', () => {
    const delay = createRetryDelay(() => 0);
    const delays = Array.from({ length: 120 }, (_, index) => delay.next(`key-${index}`));
    expect(delays[99]).toBe(5);
    expect(delays[100]).toBeCloseTo(100);
    expect(delays[119]).toBeCloseTo(2000);
  });

  test('a rate limited key is counted and comes back', async () => {
    const { clock, queue } = setUp();
    expect(queue.addRateLimited('a')).toBe(5);
    expect(queue.addRateLimited('a')).toBe(10);
    await clock.advance(5);
    expect(queue.depth).toBe(1);
  });

  test('a bucket fills up to its burst and not further', () => {
    let now = 0;
    const bucket = new TokenBucket(() => now, 1, 2);
    expect([bucket.take(), bucket.take(), bucket.take()]).toEqual([true, true, false]);
    expect(bucket.waitMs()).toBeCloseTo(1000);
    now = 60_000;
    expect([bucket.take(), bucket.take(), bucket.take()]).toEqual([true, true, false]);
  });
});
