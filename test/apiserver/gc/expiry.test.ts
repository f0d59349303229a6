import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { Expiry, lastWriteOf } from '../../../apiserver/gc/expiry.ts';
import type { KubernetesObject } from '../../../apiserver/resources/definition.ts';

test('objects expire in the order of their last writes, each once', async () => {
  const expired: string[] = [];
  const stop = new AbortController();
  const expiry = new Expiry({ ttlMs: 60, expire: (key) => expired.push(key), now: Date.now, signal: stop.signal });
  const start = Date.now();
  expiry.written('old', start - 1000);
  expiry.written('again', start - 30);
  expiry.written('deleted', start - 20);
  expiry.written('young', start);
  expiry.written('again', start + 1);
  expiry.gone('deleted');
  await sleep(20);
  expect(expired).toEqual(['old']);
  await sleep(100);
  expect(expired).toEqual(['old', 'young', 'again']);
  expiry.written('never', Date.now());
  stop.abort();
  await sleep(100);
  expect(expired).not.toContain('never');
});

test('the last write of an event is the latest time it tells', () => {
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'e', creationTimestamp: '2026-01-01T00:00:00Z' },
    lastTimestamp: '2026-01-01T00:10:00Z',
    series: { lastObservedTime: '2026-01-01T00:20:00.000000Z' },
  } as unknown as KubernetesObject;
  expect(lastWriteOf(event)).toBe(Date.parse('2026-01-01T00:20:00Z'));
});
