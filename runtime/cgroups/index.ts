/** Opens the cgroup driver for this host. */

import { type CgroupHost, detectCgroups } from './detect.ts';
import type { CgroupDriver } from './driver.ts';
import { createV1Driver } from './v1/driver.ts';
import { createV2Driver } from './v2/driver.ts';

/** Makes our root group in every hierarchy we use. `root` is relative to the hierarchies' mounts: `tepui/<instance>`. */
export function openCgroups(root: string, host: CgroupHost = detectCgroups()): CgroupDriver {
  const path = root.replace(/^\/+|\/+$/g, '');
  if (path === '' || path.split('/').some((name) => name === '' || name === '.' || name === '..')) {
    throw new Error(`cgroup root "${root}" must be a relative path without empty, "." or ".." parts`);
  }
  return host.version === 'v2' ? createV2Driver(host, path) : createV1Driver(host, path);
}
