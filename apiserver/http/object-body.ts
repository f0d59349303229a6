import type { FieldValidation } from '../resources/definition.ts';
import { strictDecodingError } from '../schema/admit.ts';
import { duplicateFields } from '../schema/duplicate-fields.ts';
import { mediaType, parseBody, parsePatch, readBody } from './body.ts';
import { ApiError } from './errors.ts';
import { writeOptionsOf } from './query.ts';
import type { ResourceRequest } from './resource-request.ts';

export interface CheckedBody {
  body: unknown;
  /** What is to be told about fields that the body has twice. */
  warnings: string[];
}

/** The body of a create or update. */
export async function objectBodyOf(request: ResourceRequest): Promise<CheckedBody> {
  const raw = await readBody(request.http);
  const contentType = request.http.headers['content-type'];
  const body = parseBody(raw, contentType);
  const type = mediaType(contentType);
  // Only JSON lets them pass: the YAML parser refuses them.
  if (type !== 'application/json' && type !== '') return { body, warnings: [] };
  const { fieldValidation, warnings } = duplicatesIn(request, raw, body, 'duplicate field');
  if (warnings.length > 0 && fieldValidation === 'Strict')
    throw strictDecodingError(request.route.definition, warnings);
  return { body, warnings };
}

/** The body of a PATCH. */
export async function patchBodyOf(request: ResourceRequest): Promise<CheckedBody> {
  const raw = await readBody(request.http);
  const type = mediaType(request.http.headers['content-type']);
  const body = parsePatch(raw, type);
  if (!type.endsWith('json')) return { body, warnings: [] };
  const prefix = type === 'application/json-patch+json' ? 'json patch duplicate field' : 'duplicate field';
  const { fieldValidation, warnings } = duplicatesIn(request, raw, body, prefix);
  if (warnings.length > 0 && fieldValidation === 'Strict') throw strictPatchError(raw.toString(), warnings);
  return { body, warnings };
}

function duplicatesIn(
  request: ResourceRequest,
  raw: Buffer,
  body: unknown,
  prefix: string,
): { fieldValidation: FieldValidation | undefined; warnings: string[] } {
  const { fieldValidation } = writeOptionsOf(request.query, undefined);
  if (fieldValidation === 'Ignore') return { fieldValidation, warnings: [] };
  return { fieldValidation, warnings: duplicateFields(raw.toString(), body).map((path) => `${prefix} "${path}"`) };
}

const shownPatchLength = 1000;

/** A patch that is read strictly is 422 with the field `patch`, where an object is 400: as in the genuine server. */
function strictPatchError(text: string, problems: string[]): ApiError {
  const value = JSON.stringify(text.slice(0, shownPatchLength));
  const message = `Invalid value: ${value}: strict decoding error: ${problems.join(', ')}`;
  const causes = [{ reason: 'FieldValueInvalid' as const, message, field: 'patch' }];
  return new ApiError('Invalid', ` "" is invalid: patch: ${message}`, { causes });
}
