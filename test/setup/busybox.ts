/** Debian's static busybox: the smallest thing that an image's root file system can be made of. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const path = '/bin/busybox';

/** Its path, installed when missing; a text that says why not otherwise. */
export function staticBusybox(): { path: string } | { why: string } {
  if (!isStatic())
    spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'busybox-static'], { stdio: 'ignore' });
  return isStatic() ? { path } : { why: 'needs busybox-static (apt-get install busybox-static)' };
}

/** A dynamic one has an interpreter in its program header, which the kernel looks for in the image. */
function isStatic(): boolean {
  if (!existsSync(path)) return false;
  return !/ld-linux|ld-musl/.test(spawnSync('head', ['-c', '4096', path], { encoding: 'latin1' }).stdout);
}
