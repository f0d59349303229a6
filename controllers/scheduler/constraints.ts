/**
 * Marathon's placement constraints. Like, Unlike and Is look at the agent alone; Unique, MaxPer, Cluster and GroupBy also count where the
 * tasks of the same framework are. A field that an agent does not have passes only Unlike.
 */
import type { Constraint } from '../../crds/types.generated.ts';
import type { AgentState, Cluster, TaskState } from './cluster.ts';
import { compilePattern } from './pattern.ts';

/** Tasks of one framework by the value that a field has on their agents. */
export interface ValueCounts {
  readonly byValue: ReadonlyMap<string, number>;
  /** Tasks of the value that has fewest of them, among those that have any. */
  readonly fewest: number;
}

export function constraintHolds(
  constraint: Constraint,
  agent: AgentState,
  countsOf: (field: string) => ValueCounts,
): boolean {
  const value = fieldValue(agent, constraint.field);
  const operand = constraint.value ?? '';
  if (value === undefined) return constraint.operator === 'Unlike';
  switch (constraint.operator) {
    case 'Is':
      return value === operand;
    case 'Like':
      return compilePattern(operand)?.(value) ?? false;
    case 'Unlike':
      return !(compilePattern(operand)?.(value) ?? true);
    case 'Unique':
      return !countsOf(constraint.field).byValue.has(value);
    case 'MaxPer':
      return (countsOf(constraint.field).byValue.get(value) ?? 0) < Number(operand);
    case 'Cluster': {
      if (operand !== '') return value === operand;
      const { byValue } = countsOf(constraint.field);
      return byValue.size === 0 || byValue.has(value);
    }
    case 'GroupBy':
      return isSmallestGroup(countsOf(constraint.field), value, Number(operand) || 1);
    default:
      // An operator from a newer version: nothing is placed where it might not belong.
      return false;
  }
}

/** Whether the tasks of a framework, and so each placement, change what the constraint allows. */
export function countsTasks(constraint: Constraint): boolean {
  return !['Is', 'Like', 'Unlike'].includes(constraint.operator);
}

/** Where the tasks of the framework that hold resources are, by value of the field. */
export function countValues(cluster: Cluster, frameworkKey: string, field: string): ValueCounts {
  const byValue = new Map<string, number>();
  for (const task of cluster.frameworkTasks.get(frameworkKey) ?? []) countTask(cluster, task, field, byValue);
  return { byValue, fewest: Math.min(...byValue.values()) };
}

export function fieldValue(agent: AgentState, field: string): string | undefined {
  switch (field) {
    case 'hostname':
    case '@hostname':
      return agent.hostname;
    case '@region':
      return agent.region;
    case '@zone':
      return agent.zone;
    default:
      return agent.attributes.get(field);
  }
}

/** "rack GroupBy 3", for messages. */
export function formatConstraint(constraint: Constraint): string {
  return [constraint.field, constraint.operator, constraint.value].filter(Boolean).join(' ');
}

function countTask(cluster: Cluster, task: TaskState, field: string, counts: Map<string, number>): void {
  const agent = task.agentName === undefined ? undefined : cluster.agents.get(task.agentName);
  const value = agent && fieldValue(agent, field);
  if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
}

/** A value that has no task yet always passes; others only while they are among the smallest, and all expected groups have been begun. */
function isSmallestGroup({ byValue, fewest }: ValueCounts, value: string, expectedGroups: number): boolean {
  const own = byValue.get(value);
  if (own === undefined) return true;
  return byValue.size >= expectedGroups && own <= fewest;
}
