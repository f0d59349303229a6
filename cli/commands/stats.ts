import type { Command } from 'commander';
import { Task } from '../../controllers/machinery/client/resources.ts';
import { agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { describeError } from '../describe-error.ts';
import { formatBytes } from '../format.ts';

interface StatsOptions extends ConnectionOptions {
  namespace: string;
  allNamespaces?: boolean;
  output: 'table' | 'json';
}

/** One container's numbers, as the agent's /stats gives them. */
interface ContainerStats {
  namespace: string;
  name: string;
  containerId: string;
  statistics: {
    cpusUserTimeSeconds: number;
    cpusSystemTimeSeconds: number;
    cpusLimit?: number;
    memTotalBytes: number;
    memLimitBytes?: number;
    processes?: number;
  };
}

/** `tepui stats [TASK]`: what running tasks use now. */
export function addStatsCommand(program: Command): void {
  withConnection(
    program.command('stats').description('show what running tasks use').argument('[task]', 'only this task'),
  )
    .option('-n, --namespace <namespace>', 'namespace of the tasks', 'default')
    .option('-A, --all-namespaces', 'tasks of all namespaces')
    .option('-o, --output <format>', 'table or json', 'table')
    .action(async (name: string | undefined, options: StatsOptions) => {
      const client = await connect(options);
      const token = await tokenOf(options);
      const { items } = await client.list(Task, options.allNamespaces ? {} : { namespace: options.namespace });
      const wanted = items.filter(
        (task) => task.status?.state === 'Running' && (name === undefined || task.metadata?.name === name),
      );
      const agents = new Set(wanted.map((task) => task.spec.binding?.agentName).filter((agent) => agent !== undefined));
      const keys = new Set(wanted.map((task) => `${task.metadata?.namespace}/${task.metadata?.name}`));
      const rows: ContainerStats[] = [];
      for (const agent of agents) {
        try {
          const response = await (await agentEndpoint(client, agent, token)).get('/stats');
          const { items: stats } = JSON.parse(Buffer.concat(await response.toArray()).toString()) as {
            items: ContainerStats[];
          };
          rows.push(...stats.filter((row) => keys.has(`${row.namespace}/${row.name}`)));
        } catch (error) {
          process.stderr.write(`tepui: agent ${agent}: ${describeError(error)}\n`);
        }
      }
      process.stdout.write(options.output === 'json' ? `${JSON.stringify(rows, null, 2)}\n` : statsTable(rows));
    });
}

function statsTable(rows: ContainerStats[]): string {
  const cells = rows.map(({ namespace, name, containerId, statistics }) => [
    namespace,
    name,
    containerId,
    (statistics.cpusUserTimeSeconds + statistics.cpusSystemTimeSeconds).toFixed(2),
    statistics.cpusLimit === undefined ? '-' : String(statistics.cpusLimit),
    formatBytes(statistics.memTotalBytes),
    statistics.memLimitBytes === undefined ? '-' : formatBytes(statistics.memLimitBytes),
    String(statistics.processes ?? '-'),
  ]);
  const header = [
    'NAMESPACE',
    'TASK',
    'CONTAINER ID',
    'CPU SECONDS',
    'CPU LIMIT',
    'MEMORY',
    'MEMORY LIMIT',
    'PROCESSES',
  ];
  const widths = header.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)));
  return [header, ...cells]
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
