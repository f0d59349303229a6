import type { Command } from 'commander';
import type { ContainerStatus, Task } from '../../crds/types.generated.ts';
import { type ConnectionOptions, connect, withConnection } from '../connection.ts';
import { getTask } from '../task-of.ts';

/** `tepui why TASK`: why a task is in its state - per reason with counts of agents while it waits, how it ended otherwise. */
export function addWhyCommand(program: Command): void {
  withConnection(
    program.command('why').description('say why a task waits, or how it ended').argument('<task>', 'name of the task'),
  )
    .option('-n, --namespace <namespace>', 'namespace of the task', 'default')
    .action(async (name: string, options: ConnectionOptions & { namespace: string }) => {
      const client = await connect(options);
      process.stdout.write(explainTask(await getTask(client, options.namespace, name)));
    });
}

/** The explanation as text, ending in a newline. */
export function explainTask(task: Task): string {
  const status = task.status ?? {};
  const lines = [
    `${task.metadata?.namespace}/${task.metadata?.name}: ${status.state ?? 'Staging'}${status.reason ? ` (${status.reason})` : ''}`,
  ];
  if (status.message) lines.push(`  ${status.message}`);
  const agent = task.spec.binding?.agentName;
  if (agent) lines.push(`  on agent ${agent}`);
  else {
    const reasons = status.placement?.reasons ?? [];
    lines.push(`  not placed: ${status.placement?.totalAgents ?? 0} agents were looked at`);
    for (const reason of reasons)
      lines.push(
        `    ${String(reason.agents).padStart(5)}  ${reason.reason}${reason.message ? `: ${reason.message}` : ''}`,
      );
    if (reasons.length === 0) lines.push('    the scheduler has not looked at it yet: is the controller running?');
  }
  lines.push(...containerLines(task));
  const unapplied = status.conditions?.find(({ type, status }) => type === 'SpecApplied' && status === 'False');
  if (unapplied) lines.push(`  spec is not applied: ${unapplied.message}`);
  if (status.exitCode !== undefined) lines.push(`  exit code ${status.exitCode}`);
  if (status.signal !== undefined) lines.push(`  ended by signal ${status.signal}`);
  const history = status.history ?? [];
  if (history.length > 0) {
    lines.push('  history:');
    for (const entry of history) {
      const more = [entry.reason, entry.message].filter(Boolean).join(': ');
      lines.push(`    ${entry.time ?? ''}  ${entry.state}${more ? `  ${more}` : ''}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Of groups, and of single containers that have something to say of their own. */
function containerLines({ status }: Task): string[] {
  const containers = status?.containers ?? [];
  const isTold = containers.length > 1 || containers.some(({ restarts, progress }) => (restarts ?? 0) > 0 || progress);
  if (!isTold) return [];
  return [
    '  containers:',
    ...containers.map(({ name, init, state, reason, message, restarts, progress }) => {
      const facts = [
        ...(reason ? [`(${reason})`] : []),
        ...(restarts ? [`restarted ${restarts} times`] : []),
        ...(progress ? [progressText(progress)] : []),
        ...(message ? [message] : []),
      ];
      return `    ${name}${init ? ' (init)' : ''}: ${[state, ...facts].filter(Boolean).join(' ')}`;
    }),
  ];
}

function progressText({ item, doneBytes = 0, totalBytes }: NonNullable<ContainerStatus['progress']>): string {
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  return `${item}: ${mebibytes(doneBytes)}${totalBytes ? ` of ${mebibytes(totalBytes)}` : ''} MiB`;
}
