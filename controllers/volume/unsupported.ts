/** Fields of a Volume that nobody honours yet: the one table. A volume that declares them gets no agent, and its condition Ready says why. */
import type { VolumeSpec } from '../../crds/types.generated.ts';

const NOT_IMPLEMENTED: { field: string; isDeclared: (spec: VolumeSpec) => boolean }[] = [
  { field: 'spec.disk.type: Path', isDeclared: ({ disk }) => disk?.type === 'Path' },
  { field: 'spec.disk.type: Mount', isDeclared: ({ disk }) => disk?.type === 'Mount' },
  { field: 'spec.disk.profile', isDeclared: ({ disk }) => disk?.profile !== undefined },
];

export function unsupportedFields(spec: VolumeSpec): string[] {
  return NOT_IMPLEMENTED.filter(({ isDeclared }) => isDeclared(spec)).map(({ field }) => field);
}
