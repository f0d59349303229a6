import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Counts words independently of the job, in its output's format: `count word` lines, most frequent first, then by word. */
export async function countWords(directory: string): Promise<string> {
  const counts = new Map<string, number>();
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    // latin1: the job counts bytes (LC_ALL=C), and only ASCII letters make words.
    const text = await readFile(join(entry.parentPath, entry.name), 'latin1');
    for (const [word] of text.matchAll(/[A-Za-z]+/g))
      counts.set(word.toLowerCase(), (counts.get(word.toLowerCase()) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a, countOfA], [b, countOfB]) => countOfB - countOfA || (a < b ? -1 : 1))
    .map(([word, count]) => `${count} ${word}\n`)
    .join('');
}
