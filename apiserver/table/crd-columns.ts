import type { KubernetesObject, PrinterColumn } from '../resources/definition.ts';
import { ageOf } from './human-duration.ts';
import { type JsonPath, parseJsonPath } from './json-path.ts';

/** A CRD's `additionalPrinterColumns` entry. */
export interface AdditionalPrinterColumn {
  name: string;
  type: string;
  format?: string;
  description?: string;
  priority?: number;
  jsonPath: string;
}

/** The columns of a CRD version; without any, only AGE. */
export function crdColumns(columns: readonly AdditionalPrinterColumn[] | undefined): PrinterColumn[] {
  const declared = columns?.length ? columns : [defaultAge];
  return declared.map((column) => {
    const path = parseJsonPath(column.jsonPath);
    const type = column.type as PrinterColumn['type'];
    return {
      name: column.name,
      type,
      format: column.format ?? '',
      description: column.description || `Custom resource definition column (in JSONPath format): ${column.jsonPath}`,
      priority: column.priority ?? 0,
      cell: (object) => cellValue(object, path, type),
    };
  });
}

const defaultAge: AdditionalPrinterColumn = {
  name: 'Age',
  type: 'date',
  description:
    'CreationTimestamp is the server time when this object was created. It is represented in RFC3339 form and is in UTC.',
  jsonPath: '.metadata.creationTimestamp',
};

/** As the genuine server: the first value found; `null` (shown as `<none>`) if there is none or it is of another type. */
function cellValue(object: KubernetesObject, path: JsonPath, type: PrinterColumn['type']): unknown {
  const [value] = path.find(object);
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'string':
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? ageOf(value) : null;
  }
}
