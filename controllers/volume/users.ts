/** Which volumes a task names, and whether it uses them: from the moment it is placed until it has ended. */
import { isTerminal } from '../../crds/task-states.ts';
import type { Task } from '../../crds/types.generated.ts';

/** Keys of the volumes that the task names. */
export function volumeKeys({ metadata, spec }: Task): string[] {
  return (spec.volumes ?? []).flatMap(({ volume }) => (volume ? [`${metadata.namespace}/${volume.volumeName}`] : []));
}

export function usesVolumes({ spec, status }: Task): boolean {
  return spec.binding !== undefined && !isTerminal(status?.state);
}
