import type { FieldCause } from '../../http/errors.ts';
import type { OpenApiSchema } from '../../resources/definition.ts';
import { invalidValue, notSupported, required } from './causes.ts';

const scalars = ['string', 'integer', 'number', 'boolean'];

/** The rules of `x-kubernetes-list-type` and `x-kubernetes-list-map-keys`, by which lists are merged. */
export function listTypeCauses(schema: OpenApiSchema, path: string): FieldCause[] {
  const listType = schema['x-kubernetes-list-type'] as string | undefined;
  const keys = schema['x-kubernetes-list-map-keys'] as string[] | undefined;
  const causes: FieldCause[] = [];
  if (listType !== undefined && schema.type !== 'array') {
    const detail = 'must be array if x-kubernetes-list-type is specified';
    causes.push(schema.type ? invalidValue(`${path}.type`, schema.type, detail) : required(`${path}.type`, detail));
  }
  if (listType !== undefined && !['atomic', 'set', 'map'].includes(listType)) {
    causes.push(notSupported(`${path}.x-kubernetes-list-type`, listType, ['atomic', 'set', 'map']));
  }
  if (keys?.length && listType !== 'map') {
    const field = `${path}.x-kubernetes-list-type`;
    const detail = 'must be map if x-kubernetes-list-map-keys is non-empty';
    causes.push(listType === undefined ? required(field, detail) : invalidValue(field, listType, detail));
  }
  const items = schema.items as OpenApiSchema | undefined;
  if (listType === 'set' && items) causes.push(...setItemCauses(items, `${path}.items`));
  if (listType === 'map') causes.push(...mapListCauses(keys ?? [], items, path));
  return causes;
}

/** Members of a set are compared as a whole: scalars, or objects and lists that nobody changes in part. */
function setItemCauses(items: OpenApiSchema, path: string): FieldCause[] {
  if (items.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic') {
    const detail = 'must be atomic as item of a list with x-kubernetes-list-type=set';
    return [invalidValue(`${path}.x-kubernetes-map-type`, items['x-kubernetes-map-type'] ?? null, detail)];
  }
  const listType = items['x-kubernetes-list-type'];
  if (items.type === 'array' && listType !== undefined && listType !== 'atomic') {
    return [
      invalidValue(
        `${path}.x-kubernetes-list-type`,
        listType,
        'must be atomic as item of a list with x-kubernetes-list-type=set',
      ),
    ];
  }
  return [];
}

function mapListCauses(keys: string[], items: OpenApiSchema | undefined, path: string): FieldCause[] {
  const field = `${path}.x-kubernetes-list-map-keys`;
  if (keys.length === 0) return [required(field, 'must not be empty if x-kubernetes-list-type is map')];
  if (items && items.type !== 'object') {
    return [
      invalidValue(`${path}.items.type`, items.type, "must be object if parent array's x-kubernetes-list-type is map"),
    ];
  }
  const causes: FieldCause[] = [];
  const properties = (items?.properties ?? {}) as Record<string, OpenApiSchema>;
  if (keys.some((key) => !(key in properties))) {
    return [invalidValue(field, keys, 'entries must all be names of item properties')];
  }
  for (const key of keys) {
    const type = properties[key]!.type;
    if (typeof type === 'string' && !scalars.includes(type)) {
      const detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
      causes.push(invalidValue(`${path}.items.properties[${key}].type`, type, detail));
    }
  }
  if (new Set(keys).size < keys.length) causes.push(invalidValue(field, keys, 'must not contain duplicate entries'));
  const demanded = (items?.required ?? []) as string[];
  for (const key of keys) {
    if (properties[key]!.default === undefined && !demanded.includes(key)) {
      const detail =
        'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property';
      causes.push(required(`${path}.items.properties[${key}].default`, detail));
    }
  }
  return causes;
}

export function mapTypeCauses(schema: OpenApiSchema, path: string): FieldCause[] {
  const mapType = schema['x-kubernetes-map-type'] as string | undefined;
  if (mapType === undefined) return [];
  const causes: FieldCause[] = [];
  if (schema.type !== 'object') {
    const detail = 'must be object if x-kubernetes-map-type is specified';
    causes.push(schema.type ? invalidValue(`${path}.type`, schema.type, detail) : required(`${path}.type`, detail));
  }
  if (!['atomic', 'granular'].includes(mapType)) {
    causes.push(notSupported(`${path}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']));
  }
  return causes;
}
