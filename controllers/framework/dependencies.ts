/** What spec.dependsOn asks for: other Frameworks of the namespace that must be Ready (Services) or Succeeded (Jobs) first. */
import type { Framework } from '../../crds/types.generated.ts';
import { conditionOf } from './task-view.ts';

/** One sentence for each dependency that is not there yet. */
export function unmetDependencies(framework: Framework, find: (name: string) => Framework | undefined): string[] {
  return dependencyNames(framework).flatMap((name) => {
    const other = find(name);
    if (!other || other.metadata.deletionTimestamp) return [`Framework "${name}" does not exist`];
    const type = other.spec.type === 'Job' ? 'Succeeded' : 'Ready';
    const condition = conditionOf(other, type);
    const current = (other.status?.observedGeneration ?? 0) >= (other.metadata.generation ?? 0);
    if (condition?.status === 'True' && current) return [];
    return [`Framework "${name}" is not ${type}`];
  });
}

/** The names on a circle of dependencies that leads back to this Framework: such tasks would wait for each other for ever. */
export function dependencyCycle(
  framework: Framework,
  find: (name: string) => Framework | undefined,
): string[] | undefined {
  const start = framework.metadata.name ?? '';
  const seen = new Set<string>();
  const walk = (name: string, path: string[]): string[] | undefined => {
    if (name === start && path.length > 0) return [...path, name];
    if (seen.has(name)) return undefined;
    seen.add(name);
    const other = name === start ? framework : find(name);
    for (const next of other ? dependencyNames(other) : []) {
      const cycle = walk(next, [...path, name]);
      if (cycle) return cycle;
    }
    return undefined;
  };
  return walk(start, []);
}

export function dependencyNames(framework: Framework): string[] {
  return (framework.spec.dependsOn ?? []).map(({ name }) => name);
}
