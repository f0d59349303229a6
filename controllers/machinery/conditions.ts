import type { Condition } from '../../crds/types.generated.ts';

export type ConditionStatus = 'True' | 'False' | 'Unknown';

/** What a controller says; times are kept by setCondition. */
export interface NewCondition {
  type: string;
  status: ConditionStatus;
  /** CamelCase, specific to one situation. */
  reason: string;
  message?: string;
  observedGeneration?: number;
}

/**
 * The list with this condition in it, in its old place or at the end. lastTransitionTime moves only when `status` flips. Returns the very same
 * list if nothing changed, so that callers can compare by identity.
 */
export function setCondition(
  conditions: readonly Condition[] | undefined,
  next: NewCondition,
  now: string,
): Condition[] {
  const list = (conditions ?? []) as Condition[];
  const index = list.findIndex((condition) => condition.type === next.type);
  const old = list[index];
  if (old && isSame(old, next)) return list;
  const condition: Condition = {
    type: next.type,
    status: next.status,
    reason: next.reason,
    message: messageOf(next),
    lastTransitionTime: old?.status === next.status ? old.lastTransitionTime : now,
    ...(next.observedGeneration === undefined ? {} : { observedGeneration: next.observedGeneration }),
  };
  return old ? list.with(index, condition) : [...list, condition];
}

/** The list without a condition; the very same list if it was not in it. */
export function removeCondition(conditions: readonly Condition[] | undefined, type: string): Condition[] {
  const list = (conditions ?? []) as Condition[];
  return list.some((condition) => condition.type === type) ? list.filter((condition) => condition.type !== type) : list;
}

export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isConditionTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return findCondition(conditions, type)?.status === 'True';
}

function isSame(old: Condition, next: NewCondition): boolean {
  return (
    old.status === next.status &&
    old.reason === next.reason &&
    old.message === messageOf(next) &&
    old.observedGeneration === next.observedGeneration
  );
}

/** Never empty: API servers before 1.21 take an empty string in a required field for a missing one. */
function messageOf(condition: NewCondition): string {
  return condition.message || condition.reason;
}
