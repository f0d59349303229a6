import type { LabelSelector } from '../../crds/types.generated.ts';

/** Whether labels satisfy a selector in document form; all its parts must hold, an absent or empty selector selects everything. */
export function matchesSelector(
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) if (labels[key] !== value) return false;
  for (const { key, operator, values = [] } of selector?.matchExpressions ?? []) {
    const label = labels[key];
    switch (operator) {
      case 'In':
        if (label === undefined || !values.includes(label)) return false;
        break;
      case 'NotIn':
        if (label !== undefined && values.includes(label)) return false;
        break;
      case 'Exists':
        if (label === undefined) return false;
        break;
      case 'DoesNotExist':
        if (label !== undefined) return false;
        break;
      default:
        // An operator from a newer version: nothing is placed where it might not belong.
        return false;
    }
  }
  return true;
}

/** "disk=ssd,zone in (a,b)", for messages. */
export function formatSelector(selector: LabelSelector | undefined): string {
  const labels = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const expressions = (selector?.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`;
  });
  return [...labels, ...expressions].join(',');
}
