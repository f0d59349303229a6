import { ApiError, type FieldCause, invalid } from '../http/errors.ts';
import { labelKeyProblem, labelValueProblem } from '../selectors/label-syntax.ts';
import type { FieldValidation, ObjectMeta, OwnerReference, ResourceDefinition } from './definition.ts';
import { labelProblem, subdomainProblem } from './names.ts';

const knownFields = new Set([
  'name',
  'generateName',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'finalizers',
  'ownerReferences',
  'labels',
  'annotations',
  'managedFields',
]);
/** Known to old clients, without meaning now. */
const formerFields = new Set(['selfLink', 'clusterName']);

const maxAnnotationBytes = 256 * 1024;

/**
 * Takes unknown and null fields out of the metadata. What was unknown is an error (Strict), a warning (Warn) or nothing (Ignore).
 */
export function cleanMetadata(
  definition: ResourceDefinition,
  metadata: ObjectMeta,
  fieldValidation: FieldValidation,
): { metadata: ObjectMeta; warnings: string[] } {
  const clean: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(metadata)) {
    if (knownFields.has(field) && value !== null && value !== undefined && !isEmptyCollection(value))
      clean[field] = value;
  }
  const unknown = unknownFields(metadata).map((field) => `unknown field "metadata.${field}"`);
  if (unknown.length > 0 && fieldValidation === 'Strict') {
    throw new ApiError(
      'BadRequest',
      `${definition.kind} in version "${definition.version}" cannot be handled as a ${definition.kind}: strict decoding error: ${unknown.join(', ')}`,
    );
  }
  return { metadata: clean as ObjectMeta, warnings: fieldValidation === 'Warn' ? unknown : [] };
}

function unknownFields(metadata: ObjectMeta): string[] {
  return Object.keys(metadata).filter((field) => !knownFields.has(field) && !formerFields.has(field));
}

/** What a server would refuse of a document's metadata, its name aside, as `field: what is wrong`: for checks without one. */
export function metadataProblems(metadata: ObjectMeta): string[] {
  const causes = [
    ...labelCauses(metadata.labels),
    ...annotationCauses(metadata.annotations),
    ...finalizerCauses(metadata.finalizers),
    ...ownerCauses(metadata.ownerReferences),
  ];
  return [
    ...unknownFields(metadata).map((field) => `metadata.${field}: unknown field`),
    ...causes.map(({ field, message }) => `${field}: ${message}`),
  ];
}

/** Empty lists and maps of metadata are the same as absent ones, and left out as in the genuine server. */
function isEmptyCollection(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

/** Checks what every kind has in common. Throws Invalid with all broken fields at once. */
export function validateMetadata(definition: ResourceDefinition, metadata: ObjectMeta): void {
  const causes: FieldCause[] = [
    ...nameCauses(definition, metadata),
    ...labelCauses(metadata.labels),
    ...annotationCauses(metadata.annotations),
    ...finalizerCauses(metadata.finalizers),
    ...ownerCauses(metadata.ownerReferences),
  ];
  if (causes.length > 0) {
    throw invalid(definition, typeof metadata.name === 'string' ? metadata.name : '', causes);
  }
}

/** Fields that only the server writes, and finalizers that come too late. */
export function validateMetadataUpdate(
  definition: ResourceDefinition,
  metadata: ObjectMeta,
  existing: ObjectMeta,
): void {
  const causes: FieldCause[] = [];
  for (const field of ['creationTimestamp', 'generateName'] as const) {
    const value = metadata[field];
    if (field === 'creationTimestamp' && value !== undefined && !sameTime(value, existing[field])) {
      causes.push(cause(`metadata.${field}`, `Invalid value: ${JSON.stringify(value)}: field is immutable`));
    }
  }
  if (existing.deletionTimestamp !== undefined) {
    const added = (metadata.finalizers ?? []).filter((finalizer) => !existing.finalizers?.includes(finalizer));
    if (added.length > 0) {
      causes.push({
        field: 'metadata.finalizers',
        reason: 'FieldValueForbidden',
        message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
      });
    }
  }
  if (causes.length > 0) throw invalid(definition, existing.name, causes);
}

function sameTime(a: unknown, b: string | undefined): boolean {
  return a === b || (typeof a === 'string' && b !== undefined && Date.parse(a) === Date.parse(b));
}

function nameCauses(definition: ResourceDefinition, { name }: ObjectMeta): FieldCause[] {
  if (name === undefined || name === '') {
    return [
      {
        field: 'metadata.name',
        reason: 'FieldValueRequired',
        message: 'Required value: name or generateName is required',
      },
    ];
  }
  if (typeof name !== 'string') return [typeCause('metadata.name', 'must be a string')];
  const isNamespace = definition.group === '' && definition.plural === 'namespaces';
  const problem = isNamespace ? labelProblem(name) : subdomainProblem(name);
  return problem ? [cause('metadata.name', `Invalid value: ${JSON.stringify(name)}: ${problem}`)] : [];
}

function labelCauses(labels: unknown): FieldCause[] {
  if (labels === undefined) return [];
  if (!isStringMap(labels)) return [typeCause('metadata.labels', 'must be an object of strings')];
  const causes: FieldCause[] = [];
  for (const [key, value] of Object.entries(labels)) {
    const keyProblem = labelKeyProblem(key);
    if (keyProblem) causes.push(cause('metadata.labels', `Invalid value: ${JSON.stringify(key)}: ${keyProblem}`));
    const valueProblem = labelValueProblem(value);
    if (valueProblem) causes.push(cause('metadata.labels', `Invalid value: ${JSON.stringify(value)}: ${valueProblem}`));
  }
  return causes;
}

function annotationCauses(annotations: unknown): FieldCause[] {
  if (annotations === undefined) return [];
  if (!isStringMap(annotations)) return [typeCause('metadata.annotations', 'must be an object of strings')];
  const causes: FieldCause[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    const problem = labelKeyProblem(key.toLowerCase());
    if (problem) causes.push(cause('metadata.annotations', `Invalid value: ${JSON.stringify(key)}: ${problem}`));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > maxAnnotationBytes) {
    causes.push({
      field: 'metadata.annotations',
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${maxAnnotationBytes} bytes`,
    });
  }
  return causes;
}

function finalizerCauses(finalizers: unknown): FieldCause[] {
  if (finalizers === undefined) return [];
  if (!Array.isArray(finalizers)) return [typeCause('metadata.finalizers', 'must be a list of strings')];
  return finalizers.flatMap((finalizer: unknown) => {
    if (typeof finalizer !== 'string') return [typeCause('metadata.finalizers', 'must be a list of strings')];
    const problem = labelKeyProblem(finalizer);
    return problem ? [cause('metadata.finalizers', `Invalid value: ${JSON.stringify(finalizer)}: ${problem}`)] : [];
  });
}

function ownerCauses(owners: unknown): FieldCause[] {
  if (owners === undefined) return [];
  const field = 'metadata.ownerReferences';
  if (!Array.isArray(owners)) return [typeCause(field, 'must be a list of objects')];
  const causes: FieldCause[] = [];
  const controllers: string[] = [];
  for (const [index, owner] of (owners as Partial<OwnerReference>[]).entries()) {
    for (const part of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (typeof owner?.[part] !== 'string' || owner[part] === '') {
        causes.push(cause(`${field}[${index}].${part}`, 'Invalid value: "": must not be empty'));
      }
    }
    if (owner?.controller === true) controllers.push(String(owner.name));
  }
  if (controllers.length > 1) {
    const [first, second] = controllers;
    const text = `Only one reference can have Controller set to true. Found "true" in references for ${first} and ${second}`;
    causes.push(cause(field, `Invalid value: ${JSON.stringify(controllers)}: ${text}`));
  }
  return causes;
}

function isStringMap(value: unknown): value is Record<string, string> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((item) => typeof item === 'string')
  );
}

function cause(field: string, message: string): FieldCause {
  return { field, reason: 'FieldValueInvalid', message };
}

function typeCause(field: string, message: string): FieldCause {
  return { field, reason: 'FieldValueTypeInvalid', message: `Invalid value: ${message}` };
}
