type Json = unknown;

/**
 * The merge patch (RFC 7386) that takes `current` to `desired`: fields of `desired` that differ are set, and fields that
 * `lastApplied` had but `desired` has no more are removed. Fields that others set are left alone. This is what
 * `kubectl apply` does for custom resources, so both can be used on one object.
 */
export function threeWayMergePatch(lastApplied: Json, current: Json, desired: Json): Record<string, Json> {
  const patch = changes(asObject(current), asObject(desired));
  removeDropped(asObject(lastApplied), asObject(desired), asObject(current), patch);
  return patch;
}

function changes(current: Record<string, Json>, desired: Record<string, Json>): Record<string, Json> {
  const patch: Record<string, Json> = {};
  for (const [key, value] of Object.entries(desired)) {
    if (value === undefined) continue;
    if (isObject(value) && isObject(current[key])) {
      const nested = changes(current[key], value);
      if (Object.keys(nested).length > 0) patch[key] = nested;
    } else if (!deepEqual(current[key], value)) patch[key] = value;
  }
  return patch;
}

function removeDropped(
  last: Record<string, Json>,
  desired: Record<string, Json>,
  current: Record<string, Json>,
  patch: Record<string, Json>,
): void {
  for (const [key, value] of Object.entries(last)) {
    if (!(key in desired)) {
      if (key in current) patch[key] = null;
    } else if (isObject(value) && isObject(desired[key]) && isObject(current[key])) {
      const nested = isObject(patch[key]) ? patch[key] : {};
      removeDropped(value, desired[key], current[key], nested);
      if (Object.keys(nested).length > 0) patch[key] = nested;
    }
  }
}

function deepEqual(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => deepEqual(item, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && deepEqual(a[key], b[key]));
}

function isObject(value: Json): value is Record<string, Json> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asObject(value: Json): Record<string, Json> {
  return isObject(value) ? value : {};
}
