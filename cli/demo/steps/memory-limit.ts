import { Task } from '../../../controllers/machinery/client/resources.ts';
import { isTerminal } from '../../../crds/task-states.ts';
import type { Checks } from '../checks.ts';
import type { System } from '../system.ts';
import { waitFor } from '../wait-for.ts';

/** (3) A task that takes more memory than it may is ended, and says so. */
export async function memoryLimitReported(system: System, checks: Checks): Promise<void> {
  checks.section('3. A task that exceeds its memory limit');
  const task = await waitFor(
    'task too-greedy to end',
    async () => {
      const found = await system.client.get(Task, { namespace: 'default', name: 'too-greedy' });
      return isTerminal(found?.status?.state) ? found : undefined;
    },
    30_000,
    system.signal,
  );
  const { state, reason, message } = task.status ?? {};
  checks.check(
    'it failed with reason ContainerLimitationMemory',
    state === 'Failed' && reason === 'ContainerLimitationMemory',
    `${state}, ${reason}`,
  );
  checks.check('the message names the limit', /\b32 ?Mi/.test(message ?? ''), message ?? '');
}
