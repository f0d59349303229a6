import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ApiObject } from '../../../../controllers/machinery/client/client.ts';
import {
  backoffMs,
  initialState,
  nextStep,
  transition,
  type WatcherEvent,
  type WatcherInput,
  type WatcherState,
} from '../../../../controllers/machinery/watcher/state.ts';

type Input = WatcherInput<ApiObject>;

const object = (name: string, resourceVersion?: string): ApiObject => ({
  metadata: { name, ...(resourceVersion ? { resourceVersion } : {}) },
});
const page = (items: ApiObject[], continueToken?: string): Input => ({
  kind: 'page',
  items,
  resourceVersion: '10',
  ...(continueToken ? { continueToken } : {}),
});

/** Feeds inputs from a state on; returns the last state and all events. */
function run(inputs: Input[], from: WatcherState = initialState): { state: WatcherState; events: string[] } {
  let state = from;
  const events: WatcherEvent<ApiObject>[] = [];
  for (const input of inputs) {
    const result = transition(state, input);
    state = result.state;
    events.push(...result.events);
  }
  return {
    state,
    events: events.map((event) => ('object' in event ? `${event.kind} ${event.object.metadata?.name}` : event.kind)),
  };
}

const listed = (failures = 0): WatcherState => ({ kind: 'listed', failures, resourceVersion: '10' });
const watching = (failures = 0): WatcherState => ({ kind: 'watching', failures, resourceVersion: '10' });

describe('listing', () => {
  test('a list of one page is announced, delivered and closed', () => {
    const { state, events } = run([page([object('a'), object('b')])]);
    expect(events).toEqual(['init', 'initApply a', 'initApply b', 'initDone']);
    expect(state).toEqual(listed());
  });

  test('an empty list is complete too', () => {
    expect(run([page([])]).events).toEqual(['init', 'initDone']);
  });

  test('a list of several pages is announced once and closed once', () => {
    const { state, events } = run([page([object('a')], 'next'), page([object('b')], 'last'), page([object('c')])]);
    expect(events).toEqual(['init', 'initApply a', 'initApply b', 'initApply c', 'initDone']);
    expect(state.kind).toBe('listed');
  });

  test('the next page is asked for by the continue token', () => {
    const { state } = run([page([object('a')], 'token')]);
    expect(nextStep(state, 0)).toEqual({ kind: 'list', delayMs: 0, continueToken: 'token', unpaged: false });
  });

  test('a page that fails is asked for again from the same token, later and later', () => {
    const { state } = run([
      page([object('a')], 'token'),
      { kind: 'listFailed', expired: false },
      { kind: 'listFailed', expired: false },
    ]);
    expect(state).toEqual({ kind: 'listing', failures: 2, continueToken: 'token' });
    expect(nextStep(state, 0.5)).toMatchObject({ kind: 'list', delayMs: 400, continueToken: 'token' });
  });

  test('an expired continue token starts a new list without pages, announced again', () => {
    const { state, events } = run([
      page([object('a')], 'token'),
      { kind: 'listFailed', expired: true },
      page([object('b')]),
    ]);
    expect(events).toEqual(['init', 'initApply a', 'init', 'initApply b', 'initDone']);
    expect(state.kind).toBe('listed');
    expect(nextStep(run([page([], 'token'), { kind: 'listFailed', expired: true }]).state, 0.5)).toMatchObject({
      kind: 'list',
      unpaged: true,
    });
  });

  test('a list without a resource version is not believed and is asked for again', () => {
    const { state, events } = run([{ kind: 'page', items: [object('a')], resourceVersion: '' }]);
    expect(events).toEqual([]);
    expect(state).toEqual({ kind: 'empty', failures: 1, unpaged: false });
  });
});

describe('watching', () => {
  test('the watch starts where the list ended', () => {
    expect(nextStep(listed(), 0)).toEqual({ kind: 'watch', delayMs: 0, resourceVersion: '10' });
    expect(run([{ kind: 'watchStarted' }], listed()).state).toEqual(watching());
  });

  test('each object moves the version on', () => {
    const { state, events } = run(
      [
        { kind: 'object', type: 'ADDED', object: object('a', '11') },
        { kind: 'object', type: 'MODIFIED', object: object('a', '12') },
        { kind: 'object', type: 'DELETED', object: object('a', '13') },
      ],
      watching(),
    );
    expect(events).toEqual(['apply a', 'apply a', 'delete a']);
    expect(state).toEqual({ kind: 'watching', failures: 0, resourceVersion: '13' });
  });

  test('a bookmark moves the version on and tells nobody', () => {
    const { state, events } = run([{ kind: 'bookmark', resourceVersion: '99' }], watching());
    expect(state).toMatchObject({ resourceVersion: '99' });
    expect(events).toEqual([]);
  });

  test('a bookmark without a version is ignored', () => {
    expect(run([{ kind: 'bookmark', resourceVersion: undefined }], watching()).state).toEqual(watching());
  });

  test('an object without a version leads to a new list', () => {
    const { state, events } = run([{ kind: 'object', type: 'ADDED', object: object('a') }], watching());
    expect(state.kind).toBe('empty');
    expect(events).toEqual([]);
  });

  test('a watch that the server ends after its timeout goes on at once from the last version', () => {
    const { state } = run(
      [
        { kind: 'bookmark', resourceVersion: '42' },
        { kind: 'watchEnded', livedMs: 290_000 },
      ],
      watching(3),
    );
    expect(nextStep(state, 0.9)).toEqual({ kind: 'watch', delayMs: 0, resourceVersion: '42' });
  });

  test('watches that the server ends at once are opened less and less often', () => {
    let state = listed();
    const delays: number[] = [];
    for (let round = 0; round < 9; round++) {
      state = run(
        [
          { kind: 'watchStarted' },
          { kind: 'object', type: 'MODIFIED', object: object('a', '11') },
          { kind: 'watchEnded', livedMs: 5 },
        ],
        state,
      ).state;
      const step = nextStep(state, 0.5);
      delays.push(step.kind === 'watch' ? step.delayMs : -1);
    }
    expect(delays).toEqual([200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
  });

  test('a watch that breaks is opened again from the last version, with a delay', () => {
    const { state } = run(
      [
        { kind: 'object', type: 'ADDED', object: object('a', '11') },
        { kind: 'watchFailed', expired: false, livedMs: 60_000 },
      ],
      watching(5),
    );
    expect(state).toEqual({ kind: 'listed', failures: 1, resourceVersion: '11' });
  });

  test('410 leads to a new list, at once after a healthy watch', () => {
    const { state } = run([{ kind: 'watchFailed', expired: true, livedMs: 60_000 }], watching(2));
    expect(nextStep(state, 0.5)).toEqual({ kind: 'list', delayMs: 0, unpaged: false });
  });

  test('a server that answers every watch with 410 is not stormed with lists', () => {
    let state = initialState;
    const delays: number[] = [];
    for (let round = 0; round < 5; round++) {
      const step = nextStep(state, 0.5);
      delays.push(step.kind === 'list' ? step.delayMs : -1);
      state = run(
        [page([object('a')]), { kind: 'watchStarted' }, { kind: 'watchFailed', expired: true, livedMs: 1 }],
        state,
      ).state;
    }
    expect(delays).toEqual([0, 200, 400, 800, 1600]);
  });

  test('a dead socket is replaced at once', () => {
    expect(run([{ kind: 'idleDeadline' }], watching(2)).state).toEqual(listed());
  });
});

describe('in general', () => {
  test('inputs that make no sense in a state change nothing', () => {
    const strange: [WatcherState, Input][] = [
      [initialState, { kind: 'watchStarted' }],
      [initialState, { kind: 'object', type: 'ADDED', object: object('a', '1') }],
      [listed(), page([object('a')])],
      [listed(), { kind: 'watchFailed', expired: true, livedMs: 0 }],
      [watching(), page([object('a')])],
      [watching(), { kind: 'watchStarted' }],
    ];
    for (const [state, input] of strange) expect(transition(state, input)).toEqual({ state, events: [] });
  });

  test('the delay grows to half a minute and is spread', () => {
    expect(backoffMs(0, 0.9)).toBe(0);
    expect(backoffMs(1, 0)).toBe(100);
    expect(backoffMs(1, 0.999)).toBeCloseTo(300, 0);
    expect(backoffMs(1000, 0.5)).toBe(30_000);
  });

  test('whatever happens, a list is delivered between init and initDone only, and changes only outside of it', () => {
    const input = fc.oneof<fc.Arbitrary<Input>[]>(
      fc.record({
        kind: fc.constant('page'),
        items: fc.constant([object('a', '1')]),
        resourceVersion: fc.constantFrom('5', ''),
        continueToken: fc.option(fc.constant('t'), { nil: undefined }),
      }) as fc.Arbitrary<Input>,
      fc.record({ kind: fc.constant('listFailed'), expired: fc.boolean() }) as fc.Arbitrary<Input>,
      fc.constant<Input>({ kind: 'watchStarted' }),
      fc.record({
        kind: fc.constant('object'),
        type: fc.constantFrom('ADDED', 'MODIFIED', 'DELETED'),
        object: fc.constantFrom(object('a', '7'), object('b')),
      }) as fc.Arbitrary<Input>,
      fc.record({
        kind: fc.constant('bookmark'),
        resourceVersion: fc.constantFrom('8', undefined),
      }) as fc.Arbitrary<Input>,
      fc.record({ kind: fc.constant('watchEnded'), livedMs: fc.nat(5000) }) as fc.Arbitrary<Input>,
      fc.record({
        kind: fc.constant('watchFailed'),
        expired: fc.boolean(),
        livedMs: fc.nat(5000),
      }) as fc.Arbitrary<Input>,
      fc.constant<Input>({ kind: 'idleDeadline' }),
    );
    fc.assert(
      fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
        let state: WatcherState = initialState;
        let phase: 'before' | 'listing' | 'live' = 'before';
        for (const next of inputs) {
          const result = transition(state, next);
          state = result.state;
          expect(state.failures).toBeGreaterThanOrEqual(0);
          for (const event of result.events) {
            if (event.kind === 'init') phase = 'listing';
            else if (event.kind === 'initApply') expect(phase).toBe('listing');
            else if (event.kind === 'initDone') {
              expect(phase).toBe('listing');
              phase = 'live';
            } else expect(phase).toBe('live');
          }
          if (state.kind === 'listed' || state.kind === 'watching') expect(state.resourceVersion).not.toBe('');
        }
      }),
    );
  });
});
