import { parseBytes } from '../../crds/quantity.ts';
import type { Task, Volume } from '../../crds/types.generated.ts';
import type { Reading } from './rates.ts';

/** What the persistent volumes that a container mounts take, as their status says. Nothing where none is measured. Pure. */
export function volumeUsage(
  { namespace, name, container }: Pick<Reading, 'namespace' | 'name' | 'container'>,
  tasks: Task[],
  volumes: Volume[],
): Pick<Reading, 'volumesUsedBytes'> {
  const { spec } = tasks.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name) ?? {};
  const declared = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(
    (each) => each.name === container,
  );
  const mounted = new Set(declared?.volumeMounts?.map((mount) => mount.name));
  const names = new Set(
    (spec?.volumes ?? []).flatMap((volume) => (mounted.has(volume.name) ? (volume.volume?.volumeName ?? []) : [])),
  );
  const used = volumes
    .filter(({ metadata }) => metadata.namespace === namespace && names.has(metadata.name ?? ''))
    .flatMap(({ status }) => status?.used ?? []);
  if (used.length === 0) return {};
  return { volumesUsedBytes: used.map((bytes) => parseBytes(bytes)).reduce((sum, bytes) => sum + bytes, 0) };
}
