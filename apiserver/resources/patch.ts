import { applyPatch } from '../apply/patch.ts';
import { notFound } from '../http/errors.ts';
import { entryKey, type ResourceContext, viewOf, type Written } from './context.ts';
import { createObject } from './create.ts';
import type { ResourceDefinition } from './definition.ts';
import { checkObject } from './object-shape.ts';
import { fromScale, toScale } from './scale.ts';
import type { ObjectRef, WriteOptions } from './storage.ts';
import { updateObject } from './update.ts';

export interface PatchOptions extends WriteOptions {
  contentType: string;
  /** Server-side apply takes fields over from other managers. */
  force?: boolean;
}

export const applyPatchType = 'application/apply-patch+yaml';

/** Patches an object or a subresource of it. `created` is true when server-side apply made the object. */
export async function patchObject(
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
    const { subresource: _, ...rest } = options;
    const written = await updateObject(context, definition, ref, fromScale(definition, existing, scale), rest);
    return { ...written, created: false };
  }
  const patched = applyPatch({ ...inputs, existing });
  const written = await updateObject(context, definition, ref, patched, { ...options, fieldsTracked: isApply });
  return { ...written, created: false };
}
