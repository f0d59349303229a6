/** Fields that the framework controller would have to honour and does not yet: the one table. What declares them is refused by name. */
import type { FrameworkSpec } from '../../crds/types.generated.ts';

const NOT_IMPLEMENTED: { field: string; isDeclared: (spec: FrameworkSpec) => boolean }[] = [
  { field: 'spec.type: Cron', isDeclared: (spec) => spec.type === 'Cron' },
  { field: 'spec.type: Daemon', isDeclared: (spec) => spec.type === 'Daemon' },
  { field: 'spec.type: External', isDeclared: (spec) => spec.type === 'External' },
  { field: 'spec.cron', isDeclared: (spec) => spec.cron !== undefined },
  { field: 'spec.external', isDeclared: (spec) => spec.external !== undefined },
];

/** Fields of this spec that are declared and not implemented. */
export function unsupportedFields(spec: FrameworkSpec): string[] {
  return NOT_IMPLEMENTED.filter(({ isDeclared }) => isDeclared(spec)).map(({ field }) => field);
}
