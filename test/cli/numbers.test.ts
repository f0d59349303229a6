import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import { placeOf } from '../../cli/commands/cp.ts';
import { parseMapping } from '../../cli/commands/port-forward.ts';
import { statsTable, withRates } from '../../cli/commands/stats.ts';
import { formatTable } from '../../cli/format.ts';
import { parseAgo } from '../../cli/numbers.ts';
import { prefixLines } from '../../cli/prefix-lines.ts';
import type { Reading } from '../../cli/stats/rates.ts';
import { volumeUsage } from '../../cli/stats/volume-usage.ts';
import type { Task, Volume } from '../../crds/types.generated.ts';

test('times ago are durations or points in time', () => {
  expect([parseAgo('90s'), parseAgo('10m'), parseAgo('1h30m'), parseAgo('2d')]).toEqual([90, 600, 5400, 172_800]);
  expect(parseAgo(new Date(Date.now() - 60_000).toISOString())).toBeCloseTo(60, 0);
  for (const bad of ['', '10', 'm', '1h 2m', 'yesterday', '-5m']) expect(() => parseAgo(bad)).toThrow('must be a time');
});

test('ports are forwarded as kubectl writes them', () => {
  expect(parseMapping('8080')).toEqual({ local: 8080, remote: 8080 });
  expect(parseMapping('80:8080')).toEqual({ local: 80, remote: 8080 });
  expect(parseMapping(':8080')).toEqual({ local: 0, remote: 8080 });
  for (const bad of ['', 'x', '0', '80:0', '1:2:3', '70000', '80:']) expect(() => parseMapping(bad)).toThrow('port "');
});

test('a place in a task is TASK:PATH, and what cannot be a task is a path here', () => {
  expect(placeOf('web:etc/passwd')).toEqual({ task: 'web', path: 'etc/passwd' });
  expect(placeOf('web-1.x:')).toEqual({ task: 'web-1.x', path: '.' });
  expect(placeOf('web:/a:b')).toEqual({ task: 'web', path: '/a:b' });
  for (const path of ['./web:x', '/a:b', 'Web:x', 'plain', '-']) expect(placeOf(path)).toEqual({ path });
});

test('prefixed lines stay whole, whatever the pieces they come in', async () => {
  const lines = Readable.from([Buffer.from('one\ntw'), Buffer.from('o\n\nthr'), Buffer.from('ee')]).pipe(
    prefixLines('[t] '),
  );
  expect(await text(lines)).toBe('[t] one\n[t] two\n[t] \n[t] three\n');
});

test('a table shows nothing that could steer the terminal', () => {
  expect(formatTable(['A', 'B'], [['x\u001b[31m', 'y\u202e']])).toBe('A       B\nx?[31m  y?\n');
});

function reading(containerId: string, second: number, cpuSeconds: number, periods = 0, throttled = 0): Reading {
  const statistics = {
    timestamp: new Date(second * 1000).toISOString(),
    cpusUserTimeSeconds: cpuSeconds,
    cpusSystemTimeSeconds: 0,
    memTotalBytes: 0,
    cpusNrPeriods: periods,
    cpusNrThrottled: throttled,
  };
  return { namespace: 'default', name: 'x', container: 'main', containerId, statistics };
}

test('what is used now comes from two readings of the same run', () => {
  const before = [reading('a', 10, 5, 100, 50), reading('b', 10, 9)];
  const rows = withRates(before, [reading('a', 12, 6, 120, 55), reading('b', 12, 1), reading('c', 12, 1)]);
  expect(rows.map(({ rates }) => rates)).toEqual([{ cpus: 0.5, throttled: 0.25 }, undefined, undefined]);
});

test('what a task takes of disks is in the table: its sandbox, and the volumes that the container mounts', () => {
  const metadata = { namespace: 'default', name: 'x' };
  const task: Task = {
    metadata,
    spec: {
      containers: [
        { name: 'main', volumeMounts: [{ name: 'a', mountPath: 'a' }] },
        { name: 'other', volumeMounts: [{ name: 'b', mountPath: 'b' }] },
      ],
      volumes: [
        { name: 'a', volume: { volumeName: 'data' } },
        { name: 'b', volume: { volumeName: 'new' } },
      ],
    },
  };
  const volume = (name: string, used?: string, namespace = 'default') =>
    ({ metadata: { namespace, name }, spec: {}, status: used === undefined ? {} : { used } }) as Volume;
  const volumes = [volume('data', '3Mi'), volume('data', '9Mi', 'elsewhere'), volume('new')];
  const main = reading('a', 10, 5);
  expect(volumeUsage(main, [task], volumes)).toEqual({ volumesUsedBytes: 3 * 2 ** 20 });
  expect(volumeUsage({ ...main, container: 'other' }, [task], volumes)).toEqual({});
  const statistics = { ...main.statistics, diskUsedBytes: 2 ** 20, diskLimitBytes: 2 ** 24 };
  const [header, row] = statsTable([{ ...main, statistics, volumesUsedBytes: 3 * 2 ** 20 }]).split('\n');
  const cells = row!.split(/ {2,}/);
  const cell = (name: string) => cells[header!.split(/ {2,}/).indexOf(name)];
  expect(['DISK', 'DISK LIMIT', 'VOLUMES'].map(cell)).toEqual(['1 MiB', '16 MiB', '3 MiB']);
});
