/** RFC 3339 in whole seconds, as conditions and most status times are written. */
export function toTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** RFC 3339 with milliseconds, where a second is too coarse. */
export function toPreciseTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** Milliseconds since the epoch; undefined if absent or malformed. */
export function fromTime(time: string | undefined): number | undefined {
  const ms = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(ms) ? undefined : ms;
}

/** The earlier of two times of which either may be missing. */
export function earliest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}
