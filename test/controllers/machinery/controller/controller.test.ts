import { afterEach, describe, expect, test } from '@jest/globals';
import { ApiStatusError } from '../../../../controllers/machinery/client/errors.ts';
import { Framework } from '../../../../controllers/machinery/client/resources.ts';
import { Controller, type ControllerOptions } from '../../../../controllers/machinery/controller/controller.ts';
import type { ReconcileContext, Reconciler } from '../../../../controllers/machinery/controller/reconciler.ts';
import { silentLogger } from '../../../../controllers/machinery/logger.ts';
import { Metrics } from '../../../../controllers/machinery/metrics/metrics.ts';
import { done, failed, requeueAfter, TerminalError } from '../../../../controllers/machinery/outcome.ts';
import { createManualClock } from '../manual-clock.ts';

let abort = new AbortController();
let running: Promise<void> | undefined;

afterEach(async () => {
  abort.abort();
  await running;
});

function start(reconciler: Reconciler, options: ControllerOptions = {}) {
  abort = new AbortController();
  const clock = createManualClock();
  const metrics = new Metrics();
  const controller = new Controller(
    { name: 'test', resource: Framework, reconciler, clock, logger: silentLogger, metrics },
    options,
  );
  running = controller.start(abort.signal);
  const metric = async (name: string) => {
    await metrics.text();
    const line = (await metrics.text()).split('\n').find((text) => text.startsWith(name));
    return line === undefined ? undefined : Number(line.split(' ').at(-1));
  };
  return { clock, controller, metric };
}

const key = { namespace: 'n', name: 'a' };
const result = (name: string) => `controller_runtime_reconcile_total{controller="test",result="${name}"}`;

describe('the outcome of a reconcile', () => {
  test('done: the key rests', async () => {
    let calls = 0;
    const { clock, controller, metric } = start(async () => {
      calls += 1;
      return done;
    });
    controller.enqueue(key);
    await clock.advance(3_600_000);
    expect(calls).toBe(1);
    expect(await metric(result('success'))).toBe(1);
  });

  test('requeueAfter: the key comes back at its time', async () => {
    const times: number[] = [];
    const { clock, controller, metric } = start(async () => {
      times.push(clock.monotonic());
      return times.length < 3 ? requeueAfter(1000) : done;
    });
    controller.enqueue(key);
    await clock.advance(10_000);
    expect(times).toEqual([0, 1000, 2000]);
    expect(await metric(result('requeue_after'))).toBe(2);
  });

  test.each([
    [
      'thrown',
      async () => {
        throw new Error('broken');
      },
    ],
    ['returned', async () => failed(new Error('broken'))],
  ] as [string, Reconciler][])('an error that is %s: tried again, later and later', async (_title, reconciler) => {
    const times: number[] = [];
    const { clock, controller, metric } = start(async (request, context) => {
      times.push(clock.monotonic());
      return reconciler(request, context);
    });
    controller.enqueue(key);
    await clock.advance(100);
    expect(times).toEqual([0, 5, 15, 35, 75]);
    expect(await metric('controller_runtime_reconcile_errors_total{controller="test"}')).toBe(5);
    expect(await metric('workqueue_retries_total{name="test",controller="test"}')).toBe(5);
  });

  test('success after errors starts the delays anew', async () => {
    const times: number[] = [];
    const { clock, controller } = start(async () => {
      times.push(clock.monotonic());
      if (times.length !== 3) throw new Error('broken');
      return done;
    });
    controller.enqueue(key);
    await clock.advance(15);
    controller.enqueue(key);
    await clock.advance(5);
    expect(times).toEqual([0, 5, 15, 15, 20]);
  });

  test('a terminal error: never tried again', async () => {
    let calls = 0;
    const { clock, controller, metric } = start(async () => {
      calls += 1;
      throw new TerminalError('cannot be');
    });
    controller.enqueue(key);
    await clock.advance(3_600_000);
    expect(calls).toBe(1);
    expect(await metric('controller_runtime_terminal_reconcile_errors_total{controller="test"}')).toBe(1);
  });

  test('a conflict: tried again, and not counted as an error', async () => {
    let calls = 0;
    const { clock, controller, metric } = start(async () => {
      calls += 1;
      if (calls === 1) throw new ApiStatusError(409, { reason: 'Conflict' });
      return done;
    });
    controller.enqueue(key);
    await clock.advance(100);
    expect(calls).toBe(2);
    expect(await metric('controller_runtime_reconcile_errors_total{controller="test"}')).toBe(0);
    expect(await metric(result('requeue'))).toBe(1);
  });

  test('a programming error is counted as what Go would panic on, and the controller lives on', async () => {
    const { clock, controller, metric } = start(async ({ name }) => {
      if (name === 'a') throw new TypeError('x is not a function');
      return done;
    });
    controller.enqueue(key);
    controller.enqueue({ namespace: 'n', name: 'b' });
    await clock.advance(1);
    expect(await metric('controller_runtime_reconcile_panics_total{controller="test"}')).toBe(1);
    expect(await metric(result('success'))).toBe(1);
  });
});

describe('a controller', () => {
  test('never runs one key twice at a time, and as many keys as it may', async () => {
    const active = new Map<string, number>();
    let most = 0;
    const { clock, controller } = start(
      async ({ name }) => {
        expect(active.get(name) ?? 0).toBe(0);
        active.set(name, 1);
        most = Math.max(most, active.size);
        await clock.sleep(10);
        active.delete(name);
        return done;
      },
      { concurrency: 3 },
    );
    for (let round = 0; round < 5; round++)
      for (const name of ['a', 'b', 'c', 'd', 'e']) controller.enqueue({ namespace: 'n', name });
    await clock.advance(1);
    for (const name of ['a', 'b']) controller.enqueue({ namespace: 'n', name });
    await clock.advance(1000);
    expect(most).toBe(3);
  });

  test('tells a reconciler that takes too long', async () => {
    let context: ReconcileContext | undefined;
    const { clock, controller, metric } = start(
      async (_request, given) => {
        context = given;
        await clock.sleep(1000, given.signal);
        if (given.signal.aborted) throw given.signal.reason;
        return done;
      },
      { timeoutMs: 500 },
    );
    controller.enqueue(key);
    await clock.advance(501);
    expect(context?.signal.aborted).toBe(true);
    expect(await metric('controller_runtime_reconcile_timeouts_total{controller="test"}')).toBe(1);
  });

  test('stops when told to, after its reconciles have ended', async () => {
    let isEnded = false;
    const { clock, controller } = start(async (_request, { signal }) => {
      await clock.sleep(60_000, signal);
      await clock.sleep(5);
      isEnded = true;
      return done;
    });
    controller.enqueue(key);
    await clock.advance(1);
    abort.abort();
    await clock.advance(10);
    await running;
    expect(isEnded).toBe(true);
  });

  test('shows all its metrics from the start', async () => {
    const { metric } = start(async () => done, { concurrency: 4 });
    for (const name of ['success', 'error', 'requeue', 'requeue_after']) expect(await metric(result(name))).toBe(0);
    expect(await metric('controller_runtime_max_concurrent_reconciles{controller="test"}')).toBe(4);
    expect(await metric('workqueue_depth{name="test",controller="test"}')).toBe(0);
  });
});
