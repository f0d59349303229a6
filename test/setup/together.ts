/**
 * Test files that share one module graph. Jest loads every module anew for each file; where that takes a minute (an emulated machine), files are imported
 * by one that is made for it. Hooks that are a file's own, outside of any `describe`, would meet all tests: such a file stays by itself.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

/** One process may be killed, with all that it has: not too many in one. */
const MOST = 8;
const NAME = 'together';

/** Writes what is needed into the folder, and returns the files for Jest to run in place of these, which are below it. */
export function together(folder: string, files: string[]): string[] {
  const alone = files.filter(hasHooksOfItsOwn);
  const shared = files.filter((file) => !alone.includes(file));
  if (shared.length < 2) return files;
  const parts = Math.ceil(shared.length / MOST);
  const size = Math.ceil(shared.length / parts);
  const made = Array.from({ length: parts }, (_, part) => {
    const path = join(folder, `${NAME}-${part + 1}.test.ts`);
    const imported = shared.slice(part * size, (part + 1) * size);
    writeFileSync(path, imported.map((file) => `await import('./${relative(folder, file)}');\n`).join(''));
    return path;
  });
  return [...made, ...alone];
}

/** Which files failed, of one that failed: itself, or those of its parts that the messages name; all of them if none is named. */
export function failedParts(file: string, messages: string[]): string[] {
  if (!basename(file).startsWith(`${NAME}-`)) return [file];
  const folder = dirname(file);
  const parts = [...readFileSync(file, 'utf8').matchAll(/import\('\.\/(.+)'\)/g)].map(([, name]) =>
    join(folder, name as string),
  );
  const named = parts.filter((part) => messages.some((message) => message.includes(`${part}:`)));
  return named.length > 0 ? named : parts;
}

function hasHooksOfItsOwn(file: string): boolean {
  return /^(before|after)(All|Each)\(/m.test(readFileSync(file, 'utf8'));
}
