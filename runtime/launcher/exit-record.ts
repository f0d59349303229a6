/** How a container ended, as its supervisor left it on the disk. */
import type { ExitRecord } from './operations.ts';

/** undefined when there is none: the file is made of blanks at launch, and only a whole line counts. */
export function parseExitRecord(text: string): ExitRecord | undefined {
  if (!text.endsWith('\n')) return undefined;
  try {
    return JSON.parse(text) as ExitRecord;
  } catch {
    return undefined;
  }
}
