import type { OpenApiSchema } from '../../resources/definition.ts';
import { copyJson } from '../../schema/copy-json.ts';
import { fieldSchema, granularityOf, itemKey, itemSchema } from './merge-schema.ts';

/** The live object with everything that the applied document sets. Neither is changed. */
export function mergeDocuments(schema: OpenApiSchema | undefined, live: unknown, applied: unknown): unknown {
  if (applied === undefined) return copyJson(live);
  const granularity = granularityOf(schema, applied);
  if (live === undefined || live === null || granularity === 'whole' || granularityOf(schema, live) !== granularity) {
    return copyJson(applied);
  }
  if (granularity === 'fields') {
    const out = copyJson(live) as Record<string, unknown>;
    for (const [name, value] of Object.entries(applied as object)) {
      out[name] = mergeDocuments(fieldSchema(schema, name), out[name], value);
    }
    return out;
  }
  return mergeItems(schema, live as unknown[], applied as unknown[]);
}

/** Items in the order of the applied list; what only the live list has keeps its place before the items that follow it there. */
function mergeItems(schema: OpenApiSchema | undefined, live: unknown[], applied: unknown[]): unknown[] {
  const inner = itemSchema(schema);
  const appliedKeys = applied.map((item) => itemKey(schema, item));
  const wanted = new Set(appliedKeys);
  const liveByKey = new Map(live.map((item) => [itemKey(schema, item), item]));
  const liveKeys = [...liveByKey.keys()];
  const placed = new Set<string>();
  const out: unknown[] = [];
  let next = 0;
  const takeOthers = (): void => {
    for (; next < liveKeys.length; next++) {
      const key = liveKeys[next]!;
      if (!wanted.has(key)) out.push(copyJson(liveByKey.get(key)));
      else if (!placed.has(key)) return;
    }
  };
  applied.forEach((item, index) => {
    const key = appliedKeys[index]!;
    takeOthers();
    out.push(mergeDocuments(inner, liveByKey.get(key), item));
    placed.add(key);
  });
  takeOthers();
  return out;
}
