import type { FieldValidation } from '../resources/definition.ts';
import type { DeleteOptions, Subresource, WriteOptions } from '../resources/storage.ts';
import { badRequest } from './errors.ts';

/**
 * The write options of a URL. REST defaults to Warn for unknown fields. Without a fieldManager the program's name stands for it: `kubectl/v1.33` is `kubectl`.
 */
export function writeOptionsOf(
  query: URLSearchParams,
  subresource: string | undefined,
  userAgent?: string | undefined,
): WriteOptions {
  const fieldManager = query.get('fieldManager') ?? userAgent?.split('/')[0]?.slice(0, 128) ?? null;
  if (fieldManager !== null && fieldManager.length > 128)
    throw badRequest('fieldManager: must have at most 128 characters');
  return {
    dryRun: dryRunOf(query.getAll('dryRun')),
    fieldValidation: fieldValidationOf(query.get('fieldValidation')),
    ...(fieldManager && { fieldManager }),
    ...(subresource !== undefined && { subresource: subresource as Subresource }),
  };
}

/** The URL wins over the body, as in the genuine server. */
export function deleteOptionsOf(query: URLSearchParams, body: unknown): DeleteOptions {
  const given = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  if (given.kind !== undefined && given.kind !== 'DeleteOptions') {
    throw badRequest(`the body of a deletion must be DeleteOptions, not ${String(given.kind)}`);
  }
  const policy = query.get('propagationPolicy') ?? given.propagationPolicy ?? undefined;
  if (policy !== undefined && policy !== 'Foreground' && policy !== 'Background' && policy !== 'Orphan') {
    throw badRequest(
      `propagationPolicy: Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan"`,
    );
  }
  const grace = query.get('gracePeriodSeconds') ?? given.gracePeriodSeconds ?? undefined;
  if (grace !== undefined && !(Number.isInteger(Number(grace)) && Number(grace) >= 0)) {
    throw badRequest(`gracePeriodSeconds: Invalid value: ${String(grace)}: must be an integer not below 0`);
  }
  const orphans = query.get('orphanDependents') ?? given.orphanDependents ?? undefined;
  const dryRun = [...query.getAll('dryRun'), ...(Array.isArray(given.dryRun) ? given.dryRun : [])];
  const preconditions = given.preconditions as DeleteOptions['preconditions'] | null | undefined;
  return {
    dryRun: dryRunOf(dryRun.map(String)),
    ...(preconditions && { preconditions }),
    ...(policy !== undefined && { propagationPolicy: policy }),
    ...(grace !== undefined && { gracePeriodSeconds: Number(grace) }),
    ...(orphans !== undefined && { orphanDependents: String(orphans) === 'true' }),
  };
}

export function limitOf(query: URLSearchParams): number {
  return nonNegative(query, 'limit') ?? 0;
}

/** How long a watch lasts; without a wish 30 to 60 minutes, so that clients do not all come back at once. */
export function watchTimeoutMs(query: URLSearchParams): number {
  const seconds = nonNegative(query, 'timeoutSeconds');
  // More would overflow the timer.
  if (seconds) return Math.min(seconds, 86_400) * 1000;
  return (1800 + Math.random() * 1800) * 1000;
}

export function booleanOf(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value === 'true' || value === '1' || value === '';
}

function nonNegative(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw badRequest(`${name}: Invalid value: ${JSON.stringify(text)}: must be an integer not below 0`);
  return value;
}

function dryRunOf(values: string[]): boolean {
  const asked = values.filter((value) => value !== '');
  const wrong = asked.find((value) => value !== 'All');
  if (wrong !== undefined)
    throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(wrong)}: supported values: "All"`);
  return asked.length > 0;
}

function fieldValidationOf(value: string | null): FieldValidation {
  if (value === null || value === '') return 'Warn';
  if (value === 'Ignore' || value === 'Warn' || value === 'Strict') return value;
  throw badRequest(
    `fieldValidation: Unsupported value: ${JSON.stringify(value)}: supported values: "Ignore", "Warn", "Strict"`,
  );
}
