/** RFC 3339: date, time, optional fraction, offset. */
const pattern = /^(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** Rewrites a time with exactly six digits of a second, in UTC. Anything that is no time stays for validation to refuse. */
export function toMicroTime(holder: Record<string, unknown>, field: string): void {
  rewrite(holder, field, (seconds, fraction) => `${seconds}.${fraction.padEnd(6, '0').slice(0, 6)}Z`);
}

/** Rewrites a time without a fraction, in UTC. */
export function toSecondTime(holder: Record<string, unknown>, field: string): void {
  rewrite(holder, field, (seconds) => `${seconds}Z`);
}

function rewrite(
  holder: Record<string, unknown>,
  field: string,
  format: (seconds: string, fraction: string) => string,
): void {
  const value = holder[field];
  if (value === null) delete holder[field];
  const match = typeof value === 'string' ? pattern.exec(value) : null;
  if (!match) return;
  const [, date, time, fraction = '', offset] = match;
  const utc = new Date(`${date}T${time}${offset!.toUpperCase()}`);
  if (Number.isNaN(utc.getTime())) return;
  holder[field] = format(utc.toISOString().slice(0, 19), fraction.slice(1));
}
