/** Which images can go. */
import type { ImageTable } from './store/image-table.ts';

/**
 * Pure. Names of images that no container uses and nobody excluded, the least recently used first; names of one image together. An image that was used
 * since `oldestRequest` (ms since 1970) may be about to be held.
 */
export function planRemoval(
  { references, holders }: Pick<ImageTable, 'references' | 'holders'>,
  excluded: ReadonlySet<string>,
  oldestRequest: number,
): string[][] {
  const held = new Set([...holders.values()].flatMap((digests) => [...digests]));
  const groups = new Map<string, { names: string[]; lastUsedMs: number; isKept: boolean }>();
  for (const [name, { digest, lastUsedAt }] of references) {
    const usedMs = Date.parse(lastUsedAt);
    const group = groups.get(digest) ?? { names: [], lastUsedMs: 0, isKept: held.has(digest) };
    group.names.push(name);
    group.lastUsedMs = Math.max(group.lastUsedMs, usedMs);
    group.isKept ||= excluded.has(name) || usedMs >= Math.floor(oldestRequest);
    groups.set(digest, group);
  }
  return [...groups.values()]
    .filter(({ isKept }) => !isKept)
    .sort((a, b) => a.lastUsedMs - b.lastUsedMs)
    .map(({ names }) => names);
}
