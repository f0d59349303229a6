import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Framework, Volume } from '../../../controllers/machinery/client/resources.ts';
import type { Checks } from '../checks.ts';
import { countWords } from '../count-words.ts';
import type { System } from '../system.ts';
import { waitFor } from '../wait-for.ts';

/** (2) Map and reduce over real texts end with the right result, in a persistent volume. */
export async function wordCountIsRight(system: System, checks: Checks): Promise<void> {
  checks.section(`2. A job that counts the words of ${system.texts}`);
  const map = await succeeded(system, 'word-count-map');
  checks.check(
    'four indexed map tasks succeeded',
    map.status?.completedIndexes === '0-3',
    `completed indexes ${map.status?.completedIndexes}`,
  );
  const reduce = await succeeded(system, 'word-count-reduce');
  checks.check(
    'the reduce task waited for them and succeeded',
    (reduce.status?.startTime ?? '') >= (map.status?.completionTime ?? '~'),
  );
  const result = await readFile(await resultFile(system), 'utf8');
  const expected = await countWords(system.texts);
  checks.say(`most frequent: ${result.split('\n').slice(0, 5).join(', ')}`);
  checks.check(
    'the result in the volume is what a second count finds',
    result === expected,
    `${expected.split('\n').length - 1} different words`,
  );
}

/** Where the reduce task left its result on this machine's disk. */
export async function resultFile(system: System): Promise<string> {
  const volume = await system.client.get(Volume, { namespace: 'default', name: 'word-counts' });
  const path = volume?.status?.path;
  if (!path) throw new Error('the volume word-counts has no path in its status');
  return join(path, 'result.txt');
}

function succeeded(system: System, name: string) {
  return waitFor(
    `job ${name} to succeed`,
    async () => {
      const framework = await system.client.get(Framework, { namespace: 'default', name });
      const conditions = framework?.status?.conditions ?? [];
      if (conditions.some((condition) => condition.type === 'Failed' && condition.status === 'True'))
        throw new Error(`job ${name} failed: ${JSON.stringify(framework?.status)}`);
      return conditions.some((condition) => condition.type === 'Succeeded' && condition.status === 'True')
        ? framework
        : undefined;
    },
    40_000,
    system.signal,
  );
}
