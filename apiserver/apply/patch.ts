import { ApiError } from '../http/errors.ts';
import type { KubernetesObject, ResourceDefinition } from '../resources/definition.ts';
import type { Subresource } from '../resources/storage.ts';
import { copyJson } from '../schema/copy-json.ts';
import { applyJsonPatch } from './json-patch.ts';
import { mergePatch, patchObjectOf } from './merge-patch.ts';
import { serverSideApply } from './server-side/apply.ts';
import { strategicMerge } from './strategic-merge.ts';

export interface PatchInputs {
  /** Without parameters, for example `application/merge-patch+json`. */
  contentType: string;
  /** The parsed body. */
  patch: unknown;
  definition: ResourceDefinition;
  /** Absent only for server-side apply of an object that is not there yet. Never changed. */
  existing: KubernetesObject | undefined;
  fieldManager?: string | undefined;
  /** Server-side apply: take fields over from other managers. */
  force?: boolean;
  subresource?: Subresource | undefined;
  /** Of the managedFields entries. Default: now. */
  now?: Date;
}

const applyType = 'application/apply-patch+yaml';

/** The object as the patch makes it, still to be checked and admitted like the body of an update. Throws ApiError 400, 413, 415 or 422. */
export function applyPatch(inputs: PatchInputs): KubernetesObject {
  const { contentType, patch, definition, existing } = inputs;
  if (!patchTypesOf(definition).includes(contentType)) throw unsupportedPatchType(definition);
  if (contentType === applyType) {
    const { fieldManager, force = false, subresource, now = new Date() } = inputs;
    return serverSideApply({ document: patch, definition, existing, fieldManager, force, subresource, now });
  }
  if (existing === undefined) throw unsupportedPatchType(definition);
  switch (contentType) {
    case 'application/json-patch+json':
      return checkedObject(applyJsonPatch(existing, patch, definition), definition, existing);
    case 'application/merge-patch+json':
      return checkedObject(mergePatch(existing, patchObjectOf(patch, 'merge')), definition, existing);
    default: {
      const merged = strategicMerge(
        copyJson(existing),
        patchObjectOf(patch, 'strategic merge'),
        mergeKeysOf(definition),
      );
      return checkedObject(merged, definition, existing);
    }
  }
}

/** The patch types a resource takes. Strategic merge needs the merge keys that only built-in kinds declare. */
export function patchTypesOf(definition: Pick<ResourceDefinition, 'strategicMergeKeys'>): string[] {
  const strategic = definition.strategicMergeKeys ? ['application/strategic-merge-patch+json'] : [];
  return ['application/json-patch+json', 'application/merge-patch+json', ...strategic, applyType];
}

function unsupportedPatchType(definition: ResourceDefinition): ApiError {
  const types = patchTypesOf(definition).join(', ');
  return new ApiError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${types}`,
  );
}

function mergeKeysOf(definition: ResourceDefinition): ReadonlyMap<string, string> {
  return new Map(Object.entries(definition.strategicMergeKeys ?? {}));
}

/** A patch may do anything to the document; what it makes must still be an object of this kind. */
function checkedObject(
  value: unknown,
  { kind, group }: ResourceDefinition,
  existing: KubernetesObject,
): KubernetesObject {
  const object = value as Partial<KubernetesObject>;
  const causes = [];
  if (
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value) ||
    typeof object.metadata !== 'object' ||
    object.metadata === null
  ) {
    causes.push({
      reason: 'FieldValueInvalid' as const,
      field: 'patch',
      message: 'Invalid value: the patch leaves no object with metadata',
    });
  } else {
    for (const field of ['kind', 'apiVersion'] as const) {
      if (object[field] === existing[field]) continue;
      const message = `Invalid value: ${JSON.stringify(object[field] ?? '')}: must be ${existing[field]}`;
      causes.push({ reason: 'FieldValueInvalid' as const, field, message });
    }
  }
  if (causes.length === 0) return value as KubernetesObject;
  const { name } = existing.metadata;
  const texts = causes.map((cause) => `${cause.field}: ${cause.message}`).join(', ');
  const qualified = group ? `${kind}.${group}` : kind;
  throw new ApiError('Invalid', `${qualified} "${name}" is invalid: ${texts}`, {
    name,
    ...(group && { group }),
    kind,
    causes,
  });
}
