/** Which volumes a task names, and whether it uses them: from the moment it is placed until it has ended. */
import type { Task } from '../../crds/types.generated.ts';

const TERMINAL_STATES: ReadonlySet<string> = new Set([
  'Finished',
  'Failed',
  'Killed',
  'Error',
  'Dropped',
  'Gone',
  'GoneByOperator',
]);

/** Keys of the volumes that the task names. */
export function volumeKeys({ metadata, spec }: Task): string[] {
  return (spec.volumes ?? []).flatMap(({ volume }) => (volume ? [`${metadata.namespace}/${volume.volumeName}`] : []));
}

export function usesVolumes({ spec, status }: Task): boolean {
  return spec.binding !== undefined && !TERMINAL_STATES.has(status?.state ?? '');
}
