/** Whether a role's quota limits leave room for a live update. The scheduler looks at them when it places a task, and is not asked again. */
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { FrameworkRole, Task } from '../../../controllers/machinery/client/resources.ts';
import { parseBytes, parseMilli } from '../../../crds/quantity.ts';
import type { Task as TaskDocument } from '../../../crds/types.generated.ts';
import type { ContainerResources } from '../../containerizers/containerizer.ts';
import { groupResources } from './launch.ts';
import { isTerminal } from './status.ts';

/** Of sums of thousandths of cores. */
const ROUNDING = 1e-6;
/** In the order in which the message names them. */
const AMOUNTS = [
  {
    name: 'cpus',
    of: ({ requests }: ContainerResources) => requests.cpus,
    parse: (text: Text) => parseMilli(text) / 1000,
  },
  { name: 'mem', of: ({ requests }: ContainerResources) => requests.memBytes, parse: (text: Text) => parseBytes(text) },
] as const;

type Text = string | number;

/**
 * Rejects with a message that names the field when the document asks for more than was granted, and the role's tasks, with what their documents
 * say, would exceed a limit. Every document counts, so of two updates at once at most the one that was written first is granted.
 */
export async function refuseOverQuota(client: ApiClient, granted: TaskDocument, wanted: TaskDocument): Promise<void> {
  const before = groupResources(granted);
  const after = groupResources(wanted);
  const raised = AMOUNTS.filter(({ of }) => of(after) > of(before) + ROUNDING);
  if (raised.length === 0) return;
  const role = topLevel(wanted);
  const roles = await client.list(FrameworkRole);
  const limits = roles.items.find(({ metadata, spec }) => (spec.role ?? metadata.name) === role)?.spec.quota?.limits;
  const limited = raised.flatMap((amount) => {
    const text = limits?.[amount.name];
    return text === undefined ? [] : [{ ...amount, text, limit: amount.parse(text) }];
  });
  if (limited.length === 0) return;
  const { items } = await client.list(Task);
  const others = items
    .filter(({ metadata }) => metadata.uid !== wanted.metadata.uid)
    .filter((task) => topLevel(task) === role && task.spec.binding && !isTerminal(task.status?.state))
    .map((task) => groupResources(task));
  for (const { name, of, text, limit } of limited) {
    const used = others.reduce((sum, resources) => sum + of(resources), of(after));
    if (used > limit + ROUNDING)
      throw new Error(
        `resources.requests.${name}: the tasks of role "${role}" would have more than its quota limit of ${text}`,
      );
  }
}

/** Limits are of top-level roles; what their descendants use is charged to them. */
function topLevel({ spec }: TaskDocument): string {
  return (spec.role ?? '*').split('/', 1)[0]!;
}
