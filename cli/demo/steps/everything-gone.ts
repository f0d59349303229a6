import { existsSync } from 'node:fs';
import { Framework, Task, Volume } from '../../../controllers/machinery/client/resources.ts';
import type { Checks } from '../checks.ts';
import { leftovers } from '../leftovers.ts';
import type { System } from '../system.ts';
import { waitFor } from '../wait-for.ts';
import { resultFile } from './word-count.ts';

/** (5) Everything is deleted; the retained data stays, and the machine is as it was. */
export async function collectedEverything(system: System, checks: Checks): Promise<void> {
  checks.section('5. Everything is deleted');
  const result = await resultFile(system);
  for (const resource of [Framework, Task, Volume] as const) {
    for (const { metadata } of (
      await system.client.list<{ metadata?: { name?: string } }>(resource as never, { namespace: 'default' })
    ).items) {
      await system.client.delete(resource as never, { namespace: 'default', name: metadata?.name ?? '' });
    }
  }
  await waitFor(
    'frameworks, tasks and volumes to be gone',
    async () => {
      for (const resource of [Framework, Task, Volume])
        if ((await system.client.list(resource as never, { namespace: 'default' })).items.length > 0) return undefined;
      return true;
    },
    30_000,
    system.signal,
  );
  checks.check('no framework, task or volume document is left', true);
  checks.check(
    'the data of the retained volume is still there',
    existsSync(result),
    result.replace(system.dataDir, 'DATA'),
  );
  await system.stop();
  const left = leftovers(system.dataDir);
  checks.check('no process is left', left.processes.length === 0, left.processes.join(', '));
  checks.check('no cgroup is left', left.cgroups.length === 0, left.cgroups.join(', '));
  checks.check('no mount is left', left.mounts.length === 0, left.mounts.join(', '));
  checks.check('no runtime directory is left', left.runtime.length === 0, left.runtime.join(', '));
}
