/** What is wrong with how the containers of a task belong together, beyond what the schema says. Pure. */
import type { Task } from '../../../crds/types.generated.ts';

type Dependencies = Map<string, { name: string; condition: string }[]>;

/** Problems as `field: reason`. */
export function groupProblems({ spec }: Task): string[] {
  return [...initProblems(spec), ...dependencyProblems(spec)];
}

/** The fields that make the task a group of containers. */
export function groupFields({ spec }: Task): string[] {
  return [
    ...((spec.initContainers?.length ?? 0) > 0 ? ['spec.initContainers'] : []),
    ...((spec.containers?.length ?? 0) > 1 ? ['spec.containers'] : []),
  ];
}

/** Init containers run to their end, one after another: nobody asks for their health, and their order is that of the list. */
function initProblems({ initContainers = [] }: Task['spec']): string[] {
  return initContainers.flatMap((container, index) => {
    const path = `spec.initContainers[${index}]`;
    const checks = (['healthCheck', 'readinessCheck', 'check'] as const).filter(
      (field) => container[field] !== undefined,
    );
    return [
      ...checks.map((field) => `${path}.${field}: an init container has no checks, it runs to its end`),
      ...((container.dependsOn?.length ?? 0) > 0
        ? [`${path}.dependsOn: init containers run in the order of the list, before all others`]
        : []),
    ];
  });
}

function dependencyProblems({ containers = [], restartPolicy }: Task['spec']): string[] {
  const problems: string[] = [];
  const dependencies: Dependencies = new Map(
    containers.map(({ name, dependsOn = [] }) => [
      name,
      dependsOn.map(({ name, condition = 'Started' }) => ({ name, condition })),
    ]),
  );
  for (const [index, { name: own, dependsOn = [] }] of containers.entries()) {
    for (const [position, { name, condition }] of dependsOn.entries()) {
      const path = `spec.containers[${index}].dependsOn[${position}]`;
      const other = containers.find((container) => container.name === name);
      if (other === undefined) problems.push(`${path}.name: spec.containers has no "${name}"`);
      else if (name === own) problems.push(`${path}.name: a container cannot wait for itself`);
      else if (condition === 'Healthy' && other.healthCheck === undefined)
        problems.push(`${path}.condition: container "${name}" has no healthCheck`);
      else if (condition === 'Completed' && restartPolicy?.condition === 'Always')
        problems.push(`${path}.condition: with restartPolicy Always container "${name}" is never completed`);
    }
    const cycle = cycleFrom(own, dependencies);
    // Told once, at the first of its containers.
    if (cycle !== undefined && isFirst(own, cycle, [...dependencies.keys()]))
      problems.push(`spec.containers[${index}].dependsOn: the containers wait for each other: ${cycle.join(' -> ')}`);
  }
  return problems;
}

/** The way from a container back to itself, if there is one of two or more. */
function cycleFrom(start: string, dependencies: Dependencies): string[] | undefined {
  const seen = new Set<string>();
  const visit = (name: string, path: string[]): string[] | undefined => {
    for (const next of dependencies.get(name) ?? []) {
      if (next.name === start && path.length > 1) return [...path, start];
      if (next.name === start || seen.has(next.name)) continue;
      seen.add(next.name);
      const found = visit(next.name, [...path, next.name]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return visit(start, [start]);
}

function isFirst(name: string, cycle: string[], order: string[]): boolean {
  return order.find((candidate) => cycle.includes(candidate)) === name;
}
