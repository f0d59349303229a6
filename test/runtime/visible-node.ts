/** The JavaScript runtime of this test where a container can see it: a checkout below /tmp or /root is not seen in one. */
import { chmodSync, copyFileSync, linkSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export function visibleNode(): { path: string; remove(): void } {
  const directory = mkdtempSync('/var/lib/tepui-test-node-');
  chmodSync(directory, 0o755);
  const path = join(directory, 'node');
  try {
    linkSync(process.execPath, path);
  } catch {
    copyFileSync(process.execPath, path); // another file system
  }
  return { path, remove: () => rmSync(directory, { recursive: true }) };
}
