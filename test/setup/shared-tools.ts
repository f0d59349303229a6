import { existsSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = new URL('../..', import.meta.url).pathname;

/** Path of a helper tool that may lie beside the checkout (in ../shared/tools, or where TEPUI_SHARED says); undefined when it is not there. */
export function sharedTool(name: string): string | undefined {
  const path = join(process.env.TEPUI_SHARED ?? join(ROOT, '..', 'shared'), 'tools', name);
  return existsSync(path) ? path : undefined;
}
