/** Resource versions are integers that grow with every write, on our server and on etcd's; Kubernetes guarantees it since 1.35. */

/** Whether `candidate` was written after `known`. Versions that are no integers are taken as newer: the last word heard wins. */
export function isNewer(candidate: string | undefined, known: string | undefined): boolean {
  if (candidate === undefined || known === undefined || !/^\d+$/.test(candidate) || !/^\d+$/.test(known)) return true;
  return candidate.length === known.length ? candidate > known : candidate.length > known.length;
}
