import type { FieldCause } from '../../http/errors.ts';
import type { OpenApiSchema } from '../../resources/definition.ts';
import type { AdditionalPrinterColumn } from '../../table/crd-columns.ts';
import { parseJsonPath } from '../../table/json-path.ts';
import { invalidValue, required } from './causes.ts';
import type { CrdVersion } from './types.ts';

type Scale = NonNullable<CrdVersion['subresources']>['scale'];

/** The paths of the scale subresource: simple (no brackets) and under the part they belong to. */
export function scaleCauses(scale: Scale, path: string): FieldCause[] {
  if (!scale) return [];
  return [
    ...scalePath(scale.specReplicasPath, `${path}.specReplicasPath`, ['.spec.'], 'should be a json path under .spec'),
    ...scalePath(
      scale.statusReplicasPath,
      `${path}.statusReplicasPath`,
      ['.status.'],
      'should be a json path under .status',
    ),
    ...(scale.labelSelectorPath
      ? scalePath(
          scale.labelSelectorPath,
          `${path}.labelSelectorPath`,
          ['.spec.', '.status.'],
          'should be a json path under either .spec or .status',
        )
      : []),
  ];
}

function scalePath(value: string | undefined, field: string, parents: string[], misplaced: string): FieldCause[] {
  if (!value) return [required(field)];
  if (!value.startsWith('.')) return [invalidValue(field, value, 'must be a simple json path starting with .')];
  if (!parents.some((parent) => value.startsWith(parent))) return [invalidValue(field, value, misplaced)];
  if (!/^(\.[A-Za-z_][A-Za-z0-9_-]*)+$/.test(value)) {
    return [invalidValue(field, value, 'must be a simple json path with only field names separated by dots')];
  }
  return [];
}

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];

export function columnCauses(columns: AdditionalPrinterColumn[] | undefined, path: string): FieldCause[] {
  return (columns ?? []).flatMap((column, index) => {
    const at = `${path}[${index}]`;
    const causes: FieldCause[] = [];
    if (!column.name) causes.push(required(`${at}.name`));
    if (!column.type) causes.push(required(`${at}.type`, `must be one of ${columnTypes.join(',')}`));
    else if (!columnTypes.includes(column.type)) {
      causes.push(invalidValue(`${at}.type`, column.type, `must be one of ${columnTypes.join(',')}`));
    }
    if (column.format && !columnFormats.includes(column.format)) {
      causes.push(invalidValue(`${at}.format`, column.format, `must be one of ${columnFormats.join(',')}`));
    }
    if (!column.jsonPath) causes.push(required(`${at}.jsonPath`));
    else if (!column.jsonPath.startsWith('.')) {
      causes.push(invalidValue(`${at}.jsonPath`, column.jsonPath, 'must be a simple json path starting with .'));
    } else {
      try {
        parseJsonPath(column.jsonPath);
      } catch (error) {
        causes.push(invalidValue(`${at}.jsonPath`, column.jsonPath, (error as Error).message));
      }
    }
    return causes;
  });
}

/** Selectable fields are scalars that the schema declares. */
export function selectableFieldCauses(
  fields: { jsonPath: string }[] | undefined,
  schema: OpenApiSchema | undefined,
  path: string,
): FieldCause[] {
  return (fields ?? []).flatMap(({ jsonPath }, index) => {
    const at = `${path}[${index}].jsonPath`;
    if (!jsonPath) return [required(at)];
    if (!/^(\.[A-Za-z_][A-Za-z0-9_-]*)+$/.test(jsonPath)) {
      return [invalidValue(at, jsonPath, `is an invalid path: expected [ or . but got: ${jsonPath}`)];
    }
    let at_: OpenApiSchema | undefined = schema;
    const [first] = jsonPath.slice(1).split('.');
    for (const name of jsonPath.slice(1).split('.')) {
      at_ = (at_?.properties as Record<string, OpenApiSchema> | undefined)?.[name];
    }
    if (!at_ || first === 'metadata')
      return [invalidValue(at, jsonPath, 'is an invalid path: does not refer to a valid field')];
    if (!['string', 'boolean', 'integer'].includes(at_.type as string)) {
      return [
        invalidValue(
          at,
          jsonPath,
          'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
        ),
      ];
    }
    return [];
  });
}
