/** Compares a Task with the table of fields. Pure. */
import type { Task } from '../../../crds/types.generated.ts';
import type { CgroupDriver } from '../../cgroups/driver.ts';
import type { ExtraController } from '../../cgroups/extra.ts';
import { isolatorProblems } from '../../isolators/disabled.ts';
import type { Isolator } from '../../isolators/isolator.ts';
import { problemsWithoutRoot, refusedWithoutRoot } from '../../rootless/refusals.ts';
import { rootlessState } from '../../rootless/state.ts';
import { taskFields } from './fields.ts';
import { commandOf } from './launch-request.ts';

/** The table speaks of containers; init containers are containers too. */
const inContainers = 'spec.containers[].';
const inInitContainers = 'spec.initContainers[].';

/** Why this containerizer cannot run the task, as `field: reason` sentences; empty when it can. */
export function unsupportedFields(task: Task): string[] {
  const problems: string[] = [];
  for (const [pattern, handling] of Object.entries(taskFields)) {
    if (typeof handling !== 'function') continue;
    const alsoInit = pattern.startsWith(inContainers) ? [pattern.replace(inContainers, inInitContainers)] : [];
    for (const { path, value } of [pattern, ...alsoInit].flatMap((each) => valuesAt(task, each))) {
      const reason = handling(value);
      if (reason) problems.push(`${path}: ${reason}`);
    }
  }
  for (const list of ['initContainers', 'containers'] as const) {
    for (const [index, container] of (task.spec[list] ?? []).entries()) {
      if (!container.image && commandOf(container).length === 0)
        problems.push(`spec.${list}[${index}]: needs command or shell`);
      if (!container.image && container.security?.readOnlyRootFilesystem === false) {
        const field = `spec.${list}[${index}].security.readOnlyRootFilesystem`;
        problems.push(`${field}: needs an image: the root file system of the host is always read-only`);
      }
    }
  }
  return problems;
}

/** Paths of fields whose values, or some of them, are refused by the table. */
export function refusedFields(): string[] {
  return Object.keys(taskFields).filter((path) => typeof taskFields[path] === 'function');
}

/** Those, and what an agent without root refuses beside them. */
export function declaredGaps({ extra }: Pick<CgroupDriver, 'extra'>): string[] {
  if (rootlessState() === undefined) return refusedFields();
  const missing = Object.entries(fieldsOfControllers).flatMap(([controller, fields]) =>
    extra.version(controller as ExtraController) === undefined ? fields : [],
  );
  return [...new Set([...refusedFields(), ...refusedWithoutRoot(), ...missing])];
}

/** What cannot be had where a controller is not delegated. */
const fieldsOfControllers: Partial<Record<ExtraController, string[]>> = {
  cpuset: ['cpuset', 'memoryNodes', 'exclusiveCpus'].map((name) => `spec.containers[].resources.${name}`),
  hugetlb: ['spec.containers[].resources.hugepages'],
  io: ['spec.containers[].resources.io'],
};

/** Why this containerizer, as it runs here, cannot run the task. */
export function problemsHere(task: Task): string[] {
  return rootlessState() === undefined ? [] : problemsWithoutRoot(task);
}

/** What this host, or its operator, does not give, of all that the containers ask for. */
export function hostProblems(isolators: readonly Isolator[], task: Task): string[] {
  return (['initContainers', 'containers'] as const).flatMap((list) =>
    (task.spec[list] ?? []).flatMap((container, index) =>
      isolatorProblems(isolators, container).map((problem) => `spec.${list}[${index}].${problem}`),
    ),
  );
}

interface Found {
  path: string;
  value: unknown;
}

/** All values that a pattern like `spec.containers[].image` finds, with their indexes filled in. */
function valuesAt(root: unknown, pattern: string): Found[] {
  let found: Found[] = [{ path: '', value: root }];
  for (const part of pattern.split('.')) {
    const isList = part.endsWith('[]');
    const name = isList ? part.slice(0, -2) : part;
    found = found.flatMap(({ path, value }) => {
      const child = (value as Record<string, unknown>)[name];
      if (child === undefined || child === null) return [];
      const childPath = path ? `${path}.${name}` : name;
      if (!isList) return [{ path: childPath, value: child }];
      return (child as unknown[]).map((item, index) => ({ path: `${childPath}[${index}]`, value: item }));
    });
  }
  return found;
}
