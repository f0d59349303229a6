/** Writes the reference page of a kind from its schema: every field with type, default, description and rules. */
import type { SchemaNode } from './compose.ts';

interface Field {
  path: string;
  schema: SchemaNode;
  required: boolean;
}

/** Markdown for docs/reference/kinds/<kind>.md. */
export function printReference(crd: SchemaNode): string {
  const spec = crd.spec as {
    scope: string;
    names: { kind: string; plural: string; shortNames: string[] };
    versions: SchemaNode[];
  };
  const version = spec.versions[0]!;
  const { openAPIV3Schema: root } = version.schema as { openAPIV3Schema: SchemaNode };
  const selectable = ((version.selectableFields as { jsonPath: string }[] | undefined) ?? []).map(
    ({ jsonPath }) => `\`${jsonPath.slice(1)}\``,
  );
  const fields = [...walk(root, '')];
  const inSpec = fields.filter(({ path }) => path === 'spec' || path.startsWith('spec.'));
  const inStatus = fields.filter(({ path }) => path === 'status' || path.startsWith('status.'));
  return [
    `# ${spec.names.kind}`,
    '',
    '<!-- Generated from crds/sources by `npm run generate`. Do not edit. -->',
    '',
    String(root.description),
    '',
    `\`apiVersion: tepui.dev/v1alpha1\`, \`kind: ${spec.names.kind}\`; ${spec.scope === 'Cluster' ? 'cluster-scoped' : 'namespaced'}.`,
    `\`kubectl get ${spec.names.plural}\` or \`${spec.names.shortNames.join('`, `')}\`; \`kubectl explain ${spec.names.plural}.spec\`.`,
    ...(selectable.length > 0 ? [`Field selectors: ${selectable.join(', ')}.`] : []),
    ...rulesSection(root, fields),
    '',
    '## spec',
    '',
    ...table(inSpec, 'spec'),
    '',
    '## status',
    '',
    ...table(inStatus, 'status'),
    '',
  ].join('\n');
}

function* walk(schema: SchemaNode, path: string): Generator<Field> {
  const required = new Set((schema.required as string[] | undefined) ?? []);
  for (const [name, property] of Object.entries((schema.properties as Record<string, SchemaNode> | undefined) ?? {})) {
    const fieldPath = path ? `${path}.${name}` : name;
    yield { path: fieldPath, schema: property, required: required.has(name) };
    yield* walk(property, fieldPath);
    if (isNode(property.items)) yield* walk(property.items, `${fieldPath}[]`);
  }
}

function rulesSection(root: SchemaNode, fields: Field[]): string[] {
  const lines: string[] = [];
  const add = (path: string, schema: SchemaNode) => {
    for (const { message } of (schema['x-kubernetes-validations'] as { message: string }[] | undefined) ?? []) {
      lines.push(`- ${path ? `\`${path}\`` : 'the document'}: ${message}`);
    }
  };
  add('', root);
  for (const { path, schema } of fields) {
    add(path, schema);
    if (isNode(schema.items)) add(`${path}[]`, schema.items);
  }
  return lines.length > 0 ? ['', '## Rules', '', ...lines] : [];
}

function table(fields: Field[], root: string): string[] {
  const rows = fields
    .filter(({ path }) => path !== root)
    .map(({ path, schema, required }) => {
      const name = `\`${path.slice(root.length + 1)}\`${required ? ' (required)' : ''}`;
      return `| ${name} | ${typeText(schema)} | ${defaultText(schema)} | ${cell(descriptionText(schema))} |`;
    });
  return ['| field | type | default | what |', '|---|---|---|---|', ...rows];
}

function typeText(schema: SchemaNode): string {
  if (schema['x-type'] === 'Quantity') return 'quantity';
  if (schema['x-kubernetes-int-or-string']) return 'integer or string';
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.type === 'array') return `list of ${isNode(schema.items) ? typeText(schema.items) : 'anything'}`;
  if (isNode(schema.additionalProperties)) return `map to ${typeText(schema.additionalProperties)}`;
  if (schema.format === 'date-time') return 'time';
  return `${schema.type ?? 'any'}${limits(schema)}`;
}

function limits(schema: SchemaNode): string {
  if (schema.minimum === undefined && schema.maximum === undefined) return '';
  if (schema.exclusiveMinimum)
    return `, above ${schema.minimum}${schema.maximum === undefined ? '' : ` up to ${schema.maximum}`}`;
  return schema.maximum === undefined ? `, from ${schema.minimum}` : `, ${schema.minimum ?? ''} to ${schema.maximum}`;
}

function defaultText(schema: SchemaNode): string {
  if (!('default' in schema) || isNode(schema.default)) return '';
  return `\`${JSON.stringify(schema.default).replace(/^"(.+)"$/, '$1')}\``;
}

function descriptionText(schema: SchemaNode): string {
  const pattern = schema.pattern && schema['x-type'] !== 'Quantity' ? ` Pattern: \`${schema.pattern}\`` : '';
  return `${schema.description ?? ''}${pattern}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');
}

function isNode(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
