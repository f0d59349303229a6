/** Prints TypeScript types for the composed schemas. Nodes marked `x-type` become named types; the rest is written in place. */
import type { SchemaNode } from './compose.ts';

const HEADER = `// Generated from crds/sources by \`npm run generate\`. Do not edit.

/** Metadata of every object. */
export interface ObjectMeta {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** A Kubernetes quantity as it stands in a document; read it with crds/quantity.ts. */
export type Quantity = number | string;
`;

/** One file with the types of all kinds; throws when two different shapes have the same name. */
export function printTypes(roots: SchemaNode[]): string {
  const named = new Map<string, { text: string; shape: string }>([['Quantity', { text: '', shape: 'Quantity' }]]);
  for (const root of roots) typeOf(root, named, 0);
  return `${HEADER}\n${[...named.values()].flatMap(({ text }) => (text ? [text] : [])).join('\n')}`;
}

type Named = Map<string, { text: string; shape: string }>;

function typeOf(node: SchemaNode, named: Named, depth: number): string {
  const name = node['x-type'];
  if (typeof name !== 'string') return bodyOf(node, named, depth);
  if (name === 'Quantity') return name;
  const body = bodyOf(node, named, 0);
  const isInterface = node.type === 'object' && isNode(node.properties);
  const text = `${comment(node, 0)}export ${isInterface ? `interface ${name} ` : `type ${name} = `}${body}${isInterface ? '' : ';'}\n`;
  const shape = body.replace(/^ *\/\*\*.*\*\/\n/gm, '');
  const known = named.get(name);
  if (known && known.shape !== shape) throw new Error(`two different shapes are called ${name}`);
  if (!known) named.set(name, { text, shape });
  return name;
}

function bodyOf(node: SchemaNode, named: Named, depth: number): string {
  if (node['x-kubernetes-int-or-string']) return 'number | string';
  if (Array.isArray(node.enum)) return node.enum.map((value) => quote(value)).join(' | ');
  switch (node.type) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'array': {
      const item = typeOf(node.items as SchemaNode, named, depth);
      return item.includes(' ') ? `(${item})[]` : `${item}[]`;
    }
    case 'object':
      if (isNode(node.additionalProperties))
        return `Record<string, ${typeOf(node.additionalProperties, named, depth)}>`;
      if (isNode(node.properties)) return objectBody(node, named, depth);
      return 'Record<string, unknown>';
    default:
      return 'unknown';
  }
}

function objectBody(node: SchemaNode, named: Named, depth: number): string {
  const indent = '  '.repeat(depth + 1);
  const required = new Set((node.required as string[] | undefined) ?? []);
  const lines = Object.entries(node.properties as Record<string, SchemaNode>).map(([name, schema]) => {
    const type = typeOf(schema, named, depth + 1);
    return `${comment(schema, depth + 1)}${indent}${name}${required.has(name) ? '' : '?'}: ${type};`;
  });
  if (isKind(node)) {
    lines.unshift(`${indent}apiVersion?: string;`, `${indent}kind?: string;`, `${indent}metadata: ObjectMeta;`);
  }
  return `{\n${lines.join('\n')}\n${'  '.repeat(depth)}}`;
}

function comment(node: SchemaNode, depth: number): string {
  const parts = [String(node.description ?? '').replaceAll('*/', '* /')];
  if ('default' in node && !isEmpty(node.default))
    parts.push(`Default ${JSON.stringify(node.default)}, filled in by the API server.`);
  return `${'  '.repeat(depth)}/** ${parts.join(' ').trim()} */\n`;
}

/** The root of a kind: has spec and status. */
function isKind(node: SchemaNode): boolean {
  return isNode(node.properties) && 'spec' in node.properties && 'status' in node.properties;
}

function quote(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : JSON.stringify(value);
}

function isEmpty(value: unknown): boolean {
  return isNode(value) && Object.keys(value).length === 0;
}

function isNode(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
