import type { CrdCondition, CrdStatus, CustomResourceDefinition } from '../builtin/crd/types.ts';
import type { MutableResourceRegistry } from './registry.ts';

/** The status a CRD should have now: names accepted or in conflict, established or not, versions ever stored. */
export function crdStatus(
  crd: CustomResourceDefinition,
  registry: Pick<MutableResourceRegistry, 'namesFor'>,
  now = new Date(),
): CrdStatus {
  const { accepted, conflicts } = registry.namesFor(crd);
  const conflict = conflicts.at(-1);
  const old = crd.status ?? {};
  const conditions = [...(old.conditions ?? [])];
  setCondition(
    conditions,
    conflict
      ? { type: 'NamesAccepted', status: 'False', ...conflict }
      : { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' },
    now,
  );
  // Established stays true once it was: clients may already use the kind.
  const established = conditions.some(({ type, status }) => type === 'Established' && status === 'True');
  if (!established) {
    setCondition(
      conditions,
      conflict
        ? { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' }
        : {
            type: 'Established',
            status: 'True',
            reason: 'InitialNamesAccepted',
            message: 'the initial names have been accepted',
          },
      now,
    );
  }
  const storage = crd.spec.versions.find((version) => version.storage)?.name;
  const stored = old.storedVersions ?? [];
  return {
    conditions,
    acceptedNames: { plural: '', kind: '', ...accepted },
    storedVersions: storage && !stored.includes(storage) ? [...stored, storage] : stored,
  };
}

/** Replaces the condition of this type; the transition time moves only with `status`. */
export function setCondition(
  conditions: CrdCondition[],
  wanted: Omit<CrdCondition, 'lastTransitionTime'>,
  now: Date,
): void {
  const index = conditions.findIndex(({ type }) => type === wanted.type);
  const old = conditions[index];
  const lastTransitionTime =
    old?.status === wanted.status ? old.lastTransitionTime : `${now.toISOString().slice(0, 19)}Z`;
  const condition = { ...wanted, lastTransitionTime };
  if (index < 0) conditions.push(condition);
  else conditions[index] = condition;
}
