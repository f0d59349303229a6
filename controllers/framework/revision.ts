import { createHash } from 'node:crypto';
import type { FrameworkSpec } from '../../crds/types.generated.ts';

/** No vowels, so that no word appears by chance; no characters that look alike. */
const ALPHABET = 'bcdfghjkmnpqrstvwxz2456789';

/**
 * Short name of what tasks are made from: the same for specs that make the same tasks, so the order of fields and absent or empty fields do not
 * matter. A change of anything else (replicas, strategies) keeps it, and so replaces no task.
 */
export function revisionOf(spec: FrameworkSpec): string {
  const content = JSON.stringify(
    normalise({ template: spec.template, volumes: spec.volumeTemplates?.map(({ name }) => name) }),
  );
  const digest = createHash('sha256').update(content).digest();
  return Array.from(digest.subarray(0, 10), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}

/** Keys sorted; null, empty objects and empty lists left out. The order of lists is kept: it has meaning. */
function normalise(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((item) => normalise(item) ?? null);
  if (value === null || typeof value !== 'object') return value ?? undefined;
  const entries = Object.entries(value)
    .map(([key, item]) => [key, normalise(item)] as const)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
