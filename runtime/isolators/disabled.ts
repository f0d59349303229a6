/** `Agent.spec.isolation.disabledIsolators`: which isolators an agent can do without, and what that means for containers. Pure. */
import type { Isolator, IsolatorHost } from './isolator.ts';

/** Without any other one a container could not be made, limited, or ended as a whole. */
export const optionalIsolators = [
  'cgroups/cpuset',
  'cgroups/hugetlb',
  'cgroups/io',
  'cgroups/pids',
  'linux/apparmor',
  'linux/devices',
  'linux/seccomp',
  'oom-score',
  'posix/rlimits',
] as const;

const isOptional = (name: string): boolean => (optionalIsolators as readonly string[]).includes(name);

/** Why a list cannot be honoured; undefined when it can. */
export function disabledIsolatorsProblem(names: readonly string[] = []): string | undefined {
  const refused = names.filter((name) => !isOptional(name));
  if (refused.length === 0) return undefined;
  return `spec.isolation.disabledIsolators: ${refused.join(', ')} cannot be left out; only ${optionalIsolators.join(', ')} can`;
}

/**
 * An isolator that does nothing while the policy has it disabled: for containers, and further commands in them, that start from then on. What it
 * made earlier it still updates and removes.
 */
export function switchable(isolator: Isolator, { policy }: Pick<IsolatorHost, 'policy'>): Isolator {
  if (!isOptional(isolator.name)) return isolator;
  const isDisabled = () => (policy().disabledIsolators ?? []).includes(isolator.name);
  return {
    ...isolator,
    problems(container) {
      if (!isDisabled()) return isolator.problems?.(container) ?? [];
      const reason = `this agent does without ${isolator.name} (Agent spec.isolation.disabledIsolators)`;
      return [`${isolator.asks?.(container)}: ${reason}`];
    },
    load: (spec) => (isDisabled() ? undefined : isolator.load?.(spec)),
    contribute: (spec) => (isDisabled() ? {} : (isolator.contribute?.(spec) ?? {})),
    prepare: (spec) => (isDisabled() ? undefined : isolator.prepare?.(spec)),
  };
}

/** For Agent.status: what works here. */
export function namesInUse(isolators: readonly Isolator[]): string[] {
  return [...new Set(isolators.filter((isolator) => isolator.unavailable?.() === undefined).map(({ name }) => name))];
}

/** What a container asks for and this host, or its operator, does not give: `field: reason`, fields relative to the container. */
export function isolatorProblems(
  isolators: readonly Isolator[],
  container: Parameters<NonNullable<Isolator['asks']>>[0],
): string[] {
  return isolators.flatMap((isolator) =>
    isolator.asks?.(container) === undefined ? [] : (isolator.problems?.(container) ?? []),
  );
}
