import type { CrdNames, CustomResourceDefinition } from '../builtin/crd/types.ts';

export interface NameConflict {
  /** PluralConflict, SingularConflict, ShortNamesConflict, KindConflict or ListKindConflict. */
  reason: string;
  message: string;
}

export interface AcceptedNames {
  accepted: Partial<CrdNames>;
  /** Empty if all names are free. A CRD with any conflict is not served. */
  conflicts: NameConflict[];
}

/** Which of its names a CRD may use beside the others of its group. Who has a name keeps it: the older CRD wins. */
export function acceptNames(
  crd: CustomResourceDefinition,
  all: ReadonlyMap<string, CustomResourceDefinition>,
): AcceptedNames {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const other of all.values()) {
    if (other.metadata.name === crd.metadata.name || other.spec.group !== crd.spec.group) continue;
    for (const names of [other.status?.acceptedNames, isOlder(other, crd) ? other.spec.names : undefined]) {
      for (const name of [names?.plural, names?.singular, ...(names?.shortNames ?? [])]) if (name) resources.add(name);
      for (const name of [names?.kind, names?.listKind]) if (name) kinds.add(name);
    }
  }
  return chooseNames(crd.spec.names, resources, kinds);
}

/**
 * Names of an older CRD count even before its status says that they are accepted, so that two CRDs which are applied together cannot both win.
 */
function isOlder(other: CustomResourceDefinition, crd: CustomResourceDefinition): boolean {
  if (crd.status?.acceptedNames?.kind || (other.status?.conditions ?? []).some(isRefused)) return false;
  const [a, b] = [other, crd].map(({ metadata }) => metadata.creationTimestamp ?? '9999');
  return a === b ? other.metadata.name < crd.metadata.name : a! < b!;
}

function isRefused({ type, status }: { type: string; status: string }): boolean {
  return type === 'NamesAccepted' && status === 'False';
}

function chooseNames(names: CrdNames, resources: ReadonlySet<string>, kinds: ReadonlySet<string>): AcceptedNames {
  const conflicts: NameConflict[] = [];
  const accepted: Partial<CrdNames> = {};
  const inUse = (name: string) => `${JSON.stringify(name)} is already in use`;
  const choose = (
    field: 'plural' | 'singular' | 'kind' | 'listKind',
    reason: string,
    taken: ReadonlySet<string>,
  ): void => {
    const name = names[field];
    if (!name) return;
    if (taken.has(name)) conflicts.push({ reason, message: inUse(name) });
    else accepted[field] = name;
  };
  choose('plural', 'PluralConflict', resources);
  choose('singular', 'SingularConflict', resources);
  const taken = (names.shortNames ?? []).filter((name) => resources.has(name));
  if (taken.length > 0) conflicts.push({ reason: 'ShortNamesConflict', message: taken.map(inUse).join(', ') });
  else if (names.shortNames) accepted.shortNames = names.shortNames;
  choose('kind', 'KindConflict', kinds);
  choose('listKind', 'ListKindConflict', kinds);
  if (names.categories) accepted.categories = names.categories;
  return { accepted, conflicts };
}
