/** A number in JSON with all its digits: JavaScript's numbers have 53 bits, limits and masks have 64. */
export function exactNumber(value: bigint): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(value));
}
