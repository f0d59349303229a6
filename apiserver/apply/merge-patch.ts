import { badRequest } from '../http/errors.ts';
import { copyJson } from '../schema/copy-json.ts';

/** RFC 7386: objects are merged, `null` removes, everything else replaces. Neither argument is changed; what the patch does not touch is shared. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return copyJson(patch);
  const out: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (key === '__proto__') continue;
    if (value === null) delete out[key];
    else out[key] = mergePatch(out[key], value);
  }
  return out;
}

/** The patch, if it is an object; lists and scalars would replace the whole document. */
export function patchObjectOf(patch: unknown, what: string): Record<string, unknown> {
  if (isObject(patch)) return patch;
  const found = patch === null ? 'null' : Array.isArray(patch) ? 'an array' : `a ${typeof patch}`;
  throw badRequest(`error decoding patch: a ${what} patch must be a JSON object, not ${found}`);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
