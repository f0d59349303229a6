/** Errors of single fields, worded as the genuine Kubernetes API server words them. */

export type FieldErrorReason =
  | 'FieldValueRequired'
  | 'FieldValueDuplicate'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueTypeInvalid';

export interface FieldError {
  /** For example `spec.containers[0].name`; `<nil>` when the error is about the whole document. */
  path: string;
  reason: FieldErrorReason;
  /** `Invalid value: -1: spec.replicas in body should be greater than or equal to 0`: what Status.details.causes[].message holds. */
  body: string;
  /** `path: body`. */
  message: string;
}

export const required = (path: string, detail = ''): FieldError => make(path, 'FieldValueRequired', undefined, detail);
export const duplicate = (path: string, value: unknown): FieldError => make(path, 'FieldValueDuplicate', { value }, '');
export const invalid = (path: string, value: unknown, detail: string): FieldError =>
  make(path, 'FieldValueInvalid', { value }, detail);
/** Without the value, where it would be a whole object. */
export const invalidOmitted = (path: string, detail: string): FieldError =>
  make(path, 'FieldValueInvalid', undefined, detail);
export const typeInvalid = (path: string, value: unknown, detail: string): FieldError =>
  make(path, 'FieldValueTypeInvalid', { value }, detail);
export const forbidden = (path: string, detail: string): FieldError =>
  make(path, 'FieldValueForbidden', undefined, detail);
export const tooLong = (path: string, max: number): FieldError =>
  make(path, 'FieldValueTooLong', undefined, `may not be more than ${max} byte${max === 1 ? '' : 's'}`);
export const tooMany = (path: string, count: number, max: number): FieldError =>
  make(path, 'FieldValueTooMany', { value: count }, `must have at most ${max} item${max === 1 ? '' : 's'}`);
export const notSupported = (path: string, value: unknown, supported: unknown[]): FieldError =>
  make(
    path,
    'FieldValueNotSupported',
    { value },
    `supported values: ${supported.map((item) => JSON.stringify(String(item))).join(', ')}`,
  );

/** With any reason, as a CEL rule may ask for one. */
export function make(
  path: string,
  reason: FieldErrorReason,
  bad: { value: unknown } | undefined,
  detail: string,
): FieldError {
  const head = bad ? `${TITLES[reason]}: ${printValue(bad.value)}` : TITLES[reason];
  const body = detail ? `${head}: ${detail}` : head;
  return { path: path || '<nil>', reason, body, message: `${path || '<nil>'}: ${body}` };
}

/** As in the message of an Invalid status: one error as it is, several in brackets. */
export function formatFieldErrors(errors: FieldError[]): string {
  return errors.length === 1 ? errors[0]!.message : `[${errors.map((error) => error.message).join(', ')}]`;
}

const TITLES: Record<FieldErrorReason, string> = {
  FieldValueRequired: 'Required value',
  FieldValueDuplicate: 'Duplicate value',
  FieldValueInvalid: 'Invalid value',
  FieldValueNotSupported: 'Unsupported value',
  FieldValueForbidden: 'Forbidden',
  FieldValueTooLong: 'Too long',
  FieldValueTooMany: 'Too many',
  FieldValueTypeInvalid: 'Invalid value',
};

function printValue(value: unknown): string {
  return JSON.stringify(value) ?? 'null';
}
