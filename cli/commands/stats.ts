import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { formatBytes, formatTable } from '../format.ts';
import { parseInteger } from '../numbers.ts';
import { cpuSeconds, type Rates, type Reading, ratesOf } from '../stats/rates.ts';
import { readStats } from '../stats/read.ts';
import { getTask } from '../task-of.ts';

interface StatsOptions extends ConnectionOptions {
  namespace: string;
  allNamespaces?: boolean;
  stream: boolean;
  interval: number;
  sort: 'name' | 'cpu' | 'memory';
  output: 'table' | 'json';
}

type Row = Reading & { rates?: Rates };

const CLEAR = '\x1b[H\x1b[2J';
/** Between the two readings of a single table. */
const SINGLE_MS = 1000;

/** `tepui stats [TASK]`: what running containers use now: refreshed in a terminal, once elsewhere. */
export function addStatsCommand(program: Command): void {
  withConnection(
    program
      .command('stats')
      .alias('top')
      .description('show what running tasks use, refreshed in a terminal')
      .argument('[task]', 'only this task'),
  )
    .option('-n, --namespace <namespace>', 'namespace of the tasks', 'default')
    .option('-A, --all-namespaces', 'tasks of all namespaces')
    .option('--no-stream', 'only once, also in a terminal')
    .option('--interval <seconds>', 'time between two refreshes', parseInteger(1), 2)
    .addOption(new Option('--sort <column>', 'order of the rows').choices(['name', 'cpu', 'memory']).default('name'))
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table'))
    .action(async (name: string | undefined, options: StatsOptions) => {
      const client = await connect(options);
      const token = await tokenOf(options);
      if (name !== undefined && !options.allNamespaces) await getTask(client, options.namespace, name);
      const selection = {
        namespace: options.allNamespaces ? undefined : options.namespace,
        ...(name !== undefined && { task: name }),
      };
      const isStream = options.stream && process.stdout.isTTY === true;
      let before = await readStats(client, token, selection);
      for (let waitMs = SINGLE_MS; ; waitMs = options.interval * 1000) {
        await delay(waitMs);
        const now = await readStats(client, token, selection);
        process.stdout.write(show(withRates(before, now), options, isStream));
        if (!isStream) return;
        before = now;
      }
    });
}

export function withRates(before: Reading[], now: Reading[]): Row[] {
  const earlier = new Map(before.map((reading) => [reading.containerId, reading]));
  return now.map((reading) => {
    const rates = ratesOf(earlier.get(reading.containerId), reading);
    return { ...reading, ...(rates && { rates }) };
  });
}

function show(rows: Row[], options: StatsOptions, isStream: boolean): string {
  const sorted = rows.toSorted(ORDER[options.sort]);
  if (options.output === 'json') return `${JSON.stringify(sorted, null, isStream ? 0 : 2)}\n`;
  return `${isStream ? CLEAR : ''}${statsTable(sorted)}`;
}

const byName = (a: Row, b: Row) => keyOf(a).localeCompare(keyOf(b));
const ORDER: Record<StatsOptions['sort'], (a: Row, b: Row) => number> = {
  name: byName,
  cpu: (a, b) => (b.rates?.cpus ?? 0) - (a.rates?.cpus ?? 0) || byName(a, b),
  memory: (a, b) => b.statistics.memTotalBytes - a.statistics.memTotalBytes || byName(a, b),
};

function keyOf({ namespace, name, container }: Row): string {
  return `${namespace}/${name}/${container}`;
}

/** DISK: of sandboxes with a limit, which alone are measured; VOLUMES: of the persistent volumes it mounts. */
export function statsTable(rows: Row[]): string {
  const cells = rows.map((row) => {
    const { namespace, name, container, statistics, rates, volumesUsedBytes } = row;
    const { cpusLimit, memTotalBytes, memLimitBytes, diskUsedBytes, diskLimitBytes, processes } = statistics;
    return [
      ...[namespace, name, container],
      rates ? `${(rates.cpus * 100).toFixed(1)}%` : '-',
      cpusLimit === undefined ? '-' : String(cpusLimit),
      rates?.throttled === undefined ? '-' : `${(rates.throttled * 100).toFixed(0)}%`,
      cpuSeconds(row).toFixed(2),
      formatBytes(memTotalBytes),
      bytesOrNone(memLimitBytes),
      memLimitBytes ? `${((memTotalBytes / memLimitBytes) * 100).toFixed(0)}%` : '-',
      bytesOrNone(diskUsedBytes),
      bytesOrNone(diskLimitBytes),
      bytesOrNone(volumesUsedBytes),
      String(processes ?? '-'),
    ];
  });
  const header = [
    'NAMESPACE',
    'TASK',
    'CONTAINER',
    'CPU',
    'CPU LIMIT',
    'HELD BACK',
    'CPU SECONDS',
    'MEMORY',
    'MEMORY LIMIT',
    'OF LIMIT',
    'DISK',
    'DISK LIMIT',
    'VOLUMES',
    'PROCESSES',
  ];
  return formatTable(header, cells);
}

function bytesOrNone(bytes: number | undefined): string {
  return bytes === undefined ? '-' : formatBytes(bytes);
}
