/**
 * Every error the API server answers with, as one table, and the exception that carries it. The wire form is a Kubernetes `Status`.
 * Codes are never reused for another meaning; `docs` and clients match on `reason`.
 */

interface ErrorKind {
  /** `Status.reason`, what clients switch on. */
  readonly reason: string;
  readonly httpStatus: number;
  /** The message if the thrower has nothing more exact to say. */
  readonly message: string;
}

export const errorTable = {
  BadRequest: { reason: 'BadRequest', httpStatus: 400, message: 'the request is malformed' },
  Unauthorized: { reason: 'Unauthorized', httpStatus: 401, message: 'Unauthorized' },
  Forbidden: { reason: 'Forbidden', httpStatus: 403, message: 'forbidden' },
  NotFound: { reason: 'NotFound', httpStatus: 404, message: 'the server could not find the requested resource' },
  MethodNotAllowed: {
    reason: 'MethodNotAllowed',
    httpStatus: 405,
    message: 'the server does not allow this method on the requested resource',
  },
  NotAcceptable: {
    reason: 'NotAcceptable',
    httpStatus: 406,
    message: 'only the following media types are accepted: application/json, application/yaml',
  },
  RequestTimeout: { reason: 'Timeout', httpStatus: 408, message: 'the request was not received in time' },
  AlreadyExists: { reason: 'AlreadyExists', httpStatus: 409, message: 'the object already exists' },
  Conflict: { reason: 'Conflict', httpStatus: 409, message: 'the object has been modified' },
  Expired: {
    reason: 'Expired',
    httpStatus: 410,
    message:
      'The provided resourceVersion is too old to be served from the history kept; list again without a resourceVersion',
  },
  RequestEntityTooLarge: {
    reason: 'RequestEntityTooLarge',
    httpStatus: 413,
    message: 'the request body is too large',
  },
  UnsupportedMediaType: {
    reason: 'UnsupportedMediaType',
    httpStatus: 415,
    message:
      'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml',
  },
  Invalid: { reason: 'Invalid', httpStatus: 422, message: 'the object is invalid' },
  TooManyRequests: { reason: 'TooManyRequests', httpStatus: 429, message: 'too many requests, please try again later' },
  HeadersTooLarge: { reason: 'BadRequest', httpStatus: 431, message: 'the request headers are too large' },
  InternalError: { reason: 'InternalError', httpStatus: 500, message: 'an internal error occurred' },
  ServiceUnavailable: {
    reason: 'ServiceUnavailable',
    httpStatus: 503,
    message: 'the server is shutting down or not ready yet',
  },
  Timeout: { reason: 'Timeout', httpStatus: 504, message: 'the request did not complete within the allotted time' },
  StorageFull: {
    reason: 'InsufficientStorage',
    httpStatus: 507,
    message: 'the disk of the data directory is full: nothing was written; free some space and try again',
  },
  StorageFailed: {
    reason: 'InternalError',
    httpStatus: 500,
    message: 'the data directory could not be written: nothing was changed',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorTable;

/** One broken field. `message` is what follows the field in the text, for example `Invalid value: "x": must be an integer`. */
export interface FieldCause {
  reason:
    | 'FieldValueInvalid'
    | 'FieldValueRequired'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueDuplicate'
    | 'FieldValueNotFound'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueTypeInvalid'
    | 'FieldManagerConflict'
    | 'NamespaceTerminating'
    | 'ResourceVersionTooLarge';
  message: string;
  /** Dotted path, as kubectl prints it: `spec.template.spec.containers[0].image`. */
  field: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  /** The plural for most errors, the kind for Invalid, as the genuine server does. */
  kind?: string;
  uid?: string;
  causes?: FieldCause[];
  retryAfterSeconds?: number;
}

export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, never>;
  status: 'Failure' | 'Success';
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code: number;
}

/** What names a resource in messages; every ResourceDefinition is one. */
export interface ResourceName {
  group: string;
  plural: string;
  kind: string;
}

/** An error that a client gets as a `Status` body. Anything else that is thrown becomes a 500 without details. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly details: StatusDetails | undefined;

  constructor(code: ErrorCode, message?: string, details?: StatusDetails, options?: ErrorOptions) {
    super(message ?? errorTable[code].message, options);
    this.name = 'ApiError';
    this.code = code;
    this.details = details;
  }

  get httpStatus(): number {
    return errorTable[this.code].httpStatus;
  }

  get reason(): string {
    return errorTable[this.code].reason;
  }

  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details && { details: this.details }),
      code: this.httpStatus,
    };
  }
}

/** `frameworks.tepui.dev "web" not found` */
export function notFound(resource: ResourceName, name: string): ApiError {
  return new ApiError('NotFound', `${qualified(resource)} "${name}" not found`, detailsOf(resource, name));
}

export function alreadyExists(resource: ResourceName, name: string): ApiError {
  return new ApiError('AlreadyExists', `${qualified(resource)} "${name}" already exists`, detailsOf(resource, name));
}

/** Optimistic concurrency lost; `because` replaces the usual text, for example a failed precondition. */
export function conflict(
  resource: ResourceName,
  name: string,
  because = 'the object has been modified; please apply your changes to the latest version and try again',
): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${because}`;
  return new ApiError('Conflict', message, detailsOf(resource, name));
}

/** 422 with one cause per broken field. */
export function invalid(resource: ResourceName, name: string, causes: FieldCause[]): ApiError {
  const texts = [...new Set(causes.map((cause) => (cause.field ? `${cause.field}: ` : '') + cause.message))];
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const kind = resource.group ? `${resource.kind}.${resource.group}` : resource.kind;
  return new ApiError('Invalid', `${kind} "${name}" is invalid: ${list}`, {
    name,
    ...(resource.group && { group: resource.group }),
    kind: resource.kind,
    causes,
  });
}

export function forbidden(resource: ResourceName, name: string, because: string): ApiError {
  return new ApiError(
    'Forbidden',
    `${qualified(resource)} "${name}" is forbidden: ${because}`,
    detailsOf(resource, name),
  );
}

export function badRequest(message: string, options?: ErrorOptions): ApiError {
  return new ApiError('BadRequest', message, undefined, options);
}

/** `frameworks.tepui.dev`, or just `configmaps` for the core group. */
function qualified(resource: ResourceName): string {
  return resource.group ? `${resource.plural}.${resource.group}` : resource.plural;
}

function detailsOf(resource: ResourceName, name: string): StatusDetails {
  return { name, ...(resource.group && { group: resource.group }), kind: resource.plural };
}
