import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createIdRanges, defaultIdRanges } from '../../../../runtime/agent/node/id-ranges.ts';
import type { UserNamespace } from '../../../../runtime/containerizers/containerizer.ts';

const small = { enabled: true, firstHostId: 100_000, idsPerTask: 10 };

test('a task keeps its range until it is released, and no two have an id in common', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(20), fc.boolean())),
      fc.integer({ min: 1, max: 1000 }),
      (steps, idsPerTask) => {
        const ranges = createIdRanges(() => ({ ...small, idsPerTask }), 'a');
        const held = new Map<string, UserNamespace>();
        for (const [task, isRelease] of steps) {
          const uid = `task-${task}`;
          if (isRelease) {
            ranges.release(uid);
            held.delete(uid);
            continue;
          }
          const range = ranges.give(uid)!;
          expect(held.get(uid) ?? range).toBe(range);
          held.set(uid, range);
        }
        const starts = [...held.values()].map(({ uids }) => uids.hostId).sort((a, b) => a - b);
        for (const [index, start] of starts.entries())
          if (index > 0) expect(start - starts[index - 1]!).toBeGreaterThanOrEqual(idsPerTask);
      },
    ),
  );
});

test('what an earlier agent gave is not given again, also where the policy has changed since', () => {
  const before: UserNamespace = { uids: { hostId: 100_005, size: 10 }, gids: { hostId: 100_025, size: 10 } };
  const few = { ...small, firstHostId: 2 ** 31 - 50 };
  const ranges = createIdRanges(() => few, 'a');
  ranges.adopt('old', {
    uids: { hostId: few.firstHostId + 5, size: 10 },
    gids: { hostId: few.firstHostId + 25, size: 10 },
  });
  expect(before.uids.size).toBe(10);
  const given = [ranges.give('one'), ranges.give('two')];
  // Five ranges of ten: four of them overlap with what the old task has.
  expect(given.map((range) => range && range.uids.hostId - few.firstHostId)).toEqual([40, undefined]);
  ranges.release('old');
  expect(ranges.give('two')).toBeDefined();
});

test('ids are given in turn, and from another place by each agent of a machine', () => {
  const first = createIdRanges(() => defaultIdRanges, 'one');
  const [a, b] = ['a', 'b'].map((uid) => first.give(uid)!.uids.hostId);
  first.release('a');
  expect([a, b]).not.toContain(first.give('c')!.uids.hostId);
  expect(createIdRanges(() => defaultIdRanges, 'two').give('a')!.uids.hostId).not.toBe(a);
});

test('all of the default are above those of users and below 2^31', () => {
  const ranges = createIdRanges(() => ({ ...defaultIdRanges, idsPerTask: 1 << 22 }), 'a');
  const all = Array.from({ length: 70 }, (_, index) => ranges.give(`task-${index}`)).filter(
    (range) => range !== undefined,
  );
  expect(all).toHaveLength(64);
  expect(Math.min(...all.map(({ uids }) => uids.hostId))).toBe(defaultIdRanges.firstHostId);
  expect(Math.max(...all.map(({ uids }) => uids.hostId + uids.size))).toBe(2 ** 31);
});

test('where the policy says so, none are given', () => {
  expect(createIdRanges(() => ({ ...small, enabled: false }), 'a').give('task')).toBeUndefined();
});
