import { readFileSync } from 'node:fs';
import type { Task } from '../../../crds/types.generated.ts';
import type { Checks } from '../checks.ts';
import type { System } from '../system.ts';
import { waitFor } from '../wait-for.ts';
import { answerOf, portOf, runningReplicas } from './service.ts';

/** (4) The agent is killed without warning and started again: its containers never noticed. */
export async function survivesAgentKill(system: System, checks: Checks): Promise<void> {
  checks.section('4. The agent is killed with SIGKILL and started again');
  const before = await runningReplicas(system);
  const processes = before.map(processOf);
  checks.say(`agent process ${system.agentPid()} is killed`);
  await system.killAgent();
  const answers = await Promise.all(before.map((task) => answerOf(portOf(task))));
  checks.check(
    'the service still answers while no agent runs',
    answers.every((answer) => answer !== undefined),
    answers.map((answer) => answer?.trim()).join(', '),
  );
  await system.startAgent();
  checks.say(`agent process ${system.agentPid()} is started`);
  const after = await waitFor(
    'the agent to report its tasks again',
    async () => {
      const tasks = await runningReplicas(system);
      return tasks.every((task) => processOf(task).pid > 0) ? tasks : undefined;
    },
    20_000,
    system.signal,
  );
  const same = before.every((task) =>
    after.some(
      (other) => other.metadata?.uid === task.metadata?.uid && other.status?.containerId === task.status?.containerId,
    ),
  );
  checks.check('the same containers are taken back', same, after.map((task) => task.status?.containerId).join(', '));
  checks.check(
    'their processes are the same, by pid and start time',
    processes.every(({ pid, startTime }) => pid > 0 && startTime !== '' && startTimeOf(pid) === startTime),
    processes.map(({ pid }) => `pid ${pid}`).join(', '),
  );
  const again = await Promise.all(after.map((task) => answerOf(portOf(task))));
  checks.check(
    'they answer as before',
    again.every((answer) => answer !== undefined),
  );
}

function processOf(task: Task): { pid: number; startTime: string } {
  const pid = task.status?.containers?.[0]?.pid ?? 0;
  return { pid, startTime: startTimeOf(pid) };
}

/** Field 22 of /proc/PID/stat; empty when there is no such process. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
