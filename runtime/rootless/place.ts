/** Where the delegated cgroup is bound: beside the runtime directory, which is removed with all that is in it. */
import { join } from 'node:path';

export function placeOfCgroup(runtimeRoot: string, instance: string): string {
  return join(runtimeRoot, `${instance}.cgroup`);
}
