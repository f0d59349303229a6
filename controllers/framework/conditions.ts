import type { Condition } from '../../crds/types.generated.ts';
import { type ConditionStatus, setCondition } from '../machinery/conditions.ts';
import { toTime } from './times.ts';

export interface WantedCondition {
  type: string;
  status: ConditionStatus;
  reason: string;
  message: string;
}

/** The conditions with those wanted in them; conditions of others stay. */
export function withConditions(
  before: readonly Condition[] | undefined,
  wanted: readonly WantedCondition[],
  observedGeneration: number | undefined,
  nowMs: number,
): Condition[] {
  return wanted.reduce<Condition[]>(
    (conditions, condition) => setCondition(conditions, { ...condition, observedGeneration }, toTime(nowMs)),
    [...(before ?? [])],
  );
}
