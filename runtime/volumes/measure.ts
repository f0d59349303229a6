/** How much disk a directory takes. */
import { lstat, opendir } from 'node:fs/promises';

const latin1 = { encoding: 'latin1' } as const;

/** Bytes on disk as `du -x` counts them: blocks, hard links once, other file systems not at all. What vanishes meanwhile counts nothing. */
export async function measureDirectory(path: string): Promise<number> {
  const top = await lstat(path);
  const counted = new Set<number>();
  let blocks = top.blocks;
  // Names need not be UTF-8, and what a task hides under others must count too: latin1 keeps a byte in each character.
  const pending = [Buffer.from(path).toString('latin1')];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const name of await namesIn(directory)) {
      const child = `${directory}/${name}`;
      const stat = await lstat(Buffer.from(child, 'latin1')).catch(() => undefined);
      if (!stat || stat.dev !== top.dev) continue;
      if (stat.nlink > 1 && !stat.isDirectory()) {
        if (counted.has(stat.ino)) continue;
        counted.add(stat.ino);
      }
      blocks += stat.blocks;
      if (stat.isDirectory()) pending.push(child);
    }
  }
  return blocks * 512;
}

async function namesIn(directory: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of await opendir(Buffer.from(directory, 'latin1'), latin1)) names.push(entry.name);
  } catch {
    // Removed meanwhile.
  }
  return names;
}
