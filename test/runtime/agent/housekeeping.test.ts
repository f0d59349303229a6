import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { pino } from 'pino';
import type { AgentHousekeeping } from '../../../crds/types.generated.ts';
import { maxSandboxAgeMs } from '../../../runtime/agent/housekeeping/sandbox-age.ts';
import { startSandboxHousekeeping } from '../../../runtime/agent/housekeeping/sandboxes.ts';
import { sandboxPath } from '../../../runtime/agent/tasks/sandbox.ts';

const DAY = 86_400;

describe('how old a sandbox may become', () => {
  test.each([
    [0, 0.9 * 7 * DAY],
    [0.4, 0.5 * 7 * DAY],
    [0.9, 0],
    [1, 0],
  ])('with %d of the disk taken and Mesos’s defaults: %d seconds', (usage, seconds) => {
    expect(maxSandboxAgeMs({ retentionSeconds: 7 * DAY, diskHeadroom: 0.1 }, usage)).toBeCloseTo(seconds * 1000);
  });

  test('never negative, never more than the retention, and less the fuller the disk is', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.nat(10 ** 7), share, share, share, (retentionSeconds, diskHeadroom, a, b) => {
        const retention = { retentionSeconds, diskHeadroom };
        const [low, high] = [Math.min(a, b), Math.max(a, b)].map((usage) => maxSandboxAgeMs(retention, usage));
        expect(high!).toBeGreaterThanOrEqual(0);
        expect(low!).toBeLessThanOrEqual(retentionSeconds * 1000);
        expect(high!).toBeLessThanOrEqual(low!);
      }),
    );
  });
});

describe('the removal of sandboxes', () => {
  let root: string;
  const states = new Map<string, 'Running' | 'Ended'>();
  const now = Date.now();
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tepui-housekeeping-'));
    states.clear();
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const made = (groupId: string, ageSeconds: number, state?: 'Running' | 'Ended') => {
    const path = sandboxPath(root, { namespace: 'default', task: `task-${groupId}`, groupId });
    mkdirSync(path, { recursive: true });
    const time = new Date(now - ageSeconds * 1000);
    utimesSync(path, time, time);
    if (state) states.set(groupId, state);
    return path;
  };
  const collect = async (policy: AgentHousekeeping | null | undefined, usage = 0) => {
    const dropped: string[] = [];
    const housekeeping = startSandboxHousekeeping({
      context: {
        sandboxRoot: root,
        diskLimits: { releasing: async (path: string) => void dropped.push(path), released: async () => {} } as never,
      },
      policy: () => policy,
      states: () => states,
      logger: pino({ level: 'silent' }),
      usage: async () => usage,
      now: () => now,
    });
    const removed = await housekeeping.collect();
    await housekeeping.close();
    expect(removed).toBe(dropped.length);
    return removed;
  };
  const policy = { sandboxRetentionSeconds: 1000, diskHeadroom: 0.1 };

  test('is by age; a running task keeps its own however old it is', async () => {
    const running = made('running', 10_000, 'Running');
    const [oldEnded, newEnded] = [made('old-ended', 901, 'Ended'), made('new-ended', 899, 'Ended')];
    const [oldGone, newGone] = [made('old-gone', 901), made('new-gone', 899)];
    expect(await collect(policy)).toBe(2);
    expect([running, oldEnded, newEnded, oldGone, newGone].map(existsSync)).toEqual([true, false, true, false, true]);
  });

  test('comes earlier when the disk fills, and at once without headroom', async () => {
    const path = made('ended', 500, 'Ended');
    expect(await collect(policy, 0.3)).toBe(0);
    expect(await collect(policy, 0.5)).toBe(1);
    expect(existsSync(path)).toBe(false);
    made('young', 1, 'Ended');
    made('runs', 5000, 'Running');
    expect(await collect(policy, 0.95)).toBe(1);
  });

  test('without a policy only takes what no record knows, whatever its age', async () => {
    const ended = made('ended', 10 ** 7, 'Ended');
    made('gone', 1);
    expect(await collect(null)).toBe(1);
    expect(existsSync(ended)).toBe(true);
  });

  test('waits until the agent’s document is known', async () => {
    made('gone', 10 ** 7);
    expect(await collect(undefined)).toBe(0);
  });
});
