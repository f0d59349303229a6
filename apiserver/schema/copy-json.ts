/** A deep copy of plain JSON data; several times faster than structuredClone, which handles every kind of object. */
export function copyJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyJson) as T;
  const out: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(value)) {
    if (key === '__proto__')
      Object.defineProperty(out, key, { value: copyJson(child), enumerable: true, writable: true, configurable: true });
    else out[key] = copyJson(child);
  }
  return out as T;
}
