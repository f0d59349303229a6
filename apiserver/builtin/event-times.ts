import type { KubernetesObject } from '../resources/definition.ts';
import { toMicroTime, toSecondTime } from './time-format.ts';

/** Go clients parse each field in one precision only, so times are kept in that of their field. */
export function normaliseTimes(event: KubernetesObject): void {
  toMicroTime(event, 'eventTime');
  const { series } = event as { series?: Record<string, unknown> };
  if (typeof series === 'object' && series !== null) toMicroTime(series, 'lastObservedTime');
  for (const field of ['firstTimestamp', 'lastTimestamp', 'deprecatedFirstTimestamp', 'deprecatedLastTimestamp']) {
    toSecondTime(event, field);
  }
}
