import { InvalidArgumentError } from 'commander';

/** Argument parser for TCP ports; 0 asks for any free one. */
export function parsePort(value: string): number {
  const port = Number(value);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw new InvalidArgumentError('must be a port number from 0 to 65535');
}

/** Argument parser for whole numbers from `minimum` on. */
export function parseInteger(minimum: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (Number.isInteger(number) && number >= minimum) return number;
    throw new InvalidArgumentError(`must be a whole number, at least ${minimum}`);
  };
}

/** Argument parser for `HOST:PORT`. An address of all interfaces is refused: others could not be told where to connect. */
export function parseHostPort(value: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(value) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || port === undefined) throw new InvalidArgumentError('must be HOST:PORT');
  if (host === '0.0.0.0' || host === '::')
    throw new InvalidArgumentError('must be one address that others can connect to');
  return { host, port: parsePort(port) };
}

/** Argument parser for times ago: `90s`, `10m`, `1h30m`, `2d`, or a point in time in RFC 3339. The result is in seconds. */
export function parseAgo(value: string): number {
  const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };
  if (/^(\d+[smhd])+$/.test(value))
    return [...value.matchAll(/(\d+)([smhd])/g)].reduce(
      (sum, [, count, unit]) => sum + Number(count) * units[unit!]!,
      0,
    );
  const at = /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isFinite(at)) return Math.max(0, (Date.now() - at) / 1000);
  throw new InvalidArgumentError('must be a time like 90s, 10m or 1h30m, or like 2026-01-31T12:00:00Z');
}
