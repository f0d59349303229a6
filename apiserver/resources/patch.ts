import { applyPatch } from '../apply/patch.ts';
import { notFound } from '../http/errors.ts';
import { entryKey, onHeads, type ResourceContext, viewOf, type Written } from './context.ts';
import { createObject } from './create.ts';
import type { ResourceDefinition } from './definition.ts';
import { checkObject } from './object-shape.ts';
import { toScale, updateScale } from './scale.ts';
import type { ObjectRef, WriteOptions } from './storage.ts';
import { updateObject } from './update.ts';

export interface PatchOptions extends WriteOptions {
  contentType: string;
  /** Server-side apply takes fields over from other managers. */
  force?: boolean;
}

export const applyPatchType = 'application/apply-patch+yaml';

/** Patches an object or a subresource of it. `created` is true when server-side apply made the object. */
export function patchObject(
  context: ResourceContext,
  definition: ResourceDefinition,
  ref: ObjectRef,
  patch: unknown,
  options: PatchOptions,
): Promise<Written & { created: boolean }> {
  return onHeads(context, [entryKey(definition, ref)], () => patchHead(context, definition, ref, patch, options));
}

async function patchHead(
  context: ResourceContext,
  definition: ResourceDefinition,
  ref: ObjectRef,
  patch: unknown,
  options: PatchOptions,
): Promise<Written & { created: boolean }> {
  const before = context.store.head(entryKey(definition, ref));
  const isApply = options.contentType === applyPatchType;
  if (before === undefined && (!isApply || options.subresource !== undefined)) throw notFound(definition, ref.name);
  const existing = before && viewOf(definition, before);
  const inputs = {
    contentType: options.contentType,
    patch,
    definition,
    fieldManager: options.fieldManager,
    force: options.force ?? false,
    subresource: options.subresource,
    now: context.now(),
  };
  if (existing === undefined) {
    const object = checkObject(definition, ref.namespace, applyPatch({ ...inputs, existing: undefined }), ref.name);
    return { ...(await createObject(context, definition, ref.namespace, object, options)), created: true };
  }
  if (options.subresource === 'scale') {
    const scale = applyPatch({ ...inputs, existing: toScale(definition, existing) });
    return { ...(await updateScale(context, definition, ref, scale, options)), created: false };
  }
  const patched = applyPatch({ ...inputs, existing });
  const written = await updateObject(context, definition, ref, patched, { ...options, fieldsTracked: isApply });
  return { ...written, created: false };
}
