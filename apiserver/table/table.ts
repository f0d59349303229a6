import type { KubernetesObject, PrinterColumn, ResourceDefinition } from '../resources/definition.ts';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableOptions {
  /** What each row carries beside its cells. Default Metadata: kubectl needs names and labels. */
  includeObject?: IncludeObject;
  /** The list's `resourceVersion`, `continue` and `remainingItemCount`, or the one object's resourceVersion. */
  listMeta?: Record<string, unknown>;
  /** Watch events after the first leave the columns out, as the genuine server does. */
  omitColumns?: boolean;
}

export interface Table {
  kind: 'Table';
  apiVersion: 'meta.k8s.io/v1';
  metadata: Record<string, unknown>;
  columnDefinitions: ColumnDefinition[] | null;
  rows: TableRow[];
}

export interface ColumnDefinition {
  name: string;
  type: string;
  format: string;
  description: string;
  priority: number;
}

export interface TableRow {
  cells: unknown[];
  object: unknown;
}

/** The `meta.k8s.io/v1` Table that kubectl prints: columns of the definition, one row per object. */
export function toTable(
  definition: ResourceDefinition,
  objects: readonly KubernetesObject[],
  options: TableOptions = {},
): Table {
  const columns = withName(definition.columns);
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: options.listMeta ?? {},
    columnDefinitions: options.omitColumns ? null : columns.map(columnDefinition),
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.cell(object)),
      object: rowObject(object, options.includeObject ?? 'Metadata'),
    })),
  };
}

/** NAME comes first, unless the kind has its own place for it (events). */
function withName(columns: readonly PrinterColumn[]): readonly PrinterColumn[] {
  return columns.some((column) => column.format === 'name') ? columns : [nameColumn, ...columns];
}

const nameColumn: PrinterColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description:
    'The name, unique within a namespace (or the cluster, for kinds without namespace) among objects of one kind.',
  priority: 0,
  cell: (object) => object.metadata.name,
};

function columnDefinition(column: PrinterColumn): ColumnDefinition {
  return {
    name: column.name,
    type: column.type,
    format: column.format ?? '',
    description: column.description ?? '',
    priority: column.priority ?? 0,
  };
}

function rowObject(object: KubernetesObject, include: IncludeObject): unknown {
  if (include === 'None') return null;
  if (include === 'Object') return object;
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}
