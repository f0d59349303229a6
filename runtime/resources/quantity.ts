/** Names that parts were written against before crds/quantity.ts existed; new code imports from there. */
import { parseQuantity as parseNano } from '../../crds/quantity.ts';

export { formatBytes, formatMilli, parseBytes as parseWhole, parseMilli } from '../../crds/quantity.ts';

/** The quantity as a floating-point number. */
export function parseQuantity(quantity: string | number): number {
  return Number(parseNano(quantity)) / 1e9;
}
