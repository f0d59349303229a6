import type { OpenApiSchema } from '../../resources/definition.ts';
import type { V2Document, V2Operation } from './document.ts';
import { type Field, message, text } from './protobuf.ts';

/** The document as the message `openapi.v2.Document`, the only form that old kubectl asks for. Numbers are those of its fields. */
export function encodeV2(document: V2Document): Buffer {
  const { swagger, info, paths, definitions } = document;
  return Buffer.concat([
    text(1, swagger),
    message(2, [text(1, info.title), text(2, info.version)]),
    message(
      8,
      Object.entries(paths).map(([path, { patch }]) => named(2, path, [message(8, operation(patch))])),
    ),
    message(
      9,
      Object.entries(definitions).map(([name, value]) => named(1, name, schema(value))),
    ),
  ]);
}

function operation(given: V2Operation): Field[] {
  return [
    text(5, given.operationId),
    ...given.consumes.map((type) => text(7, type)),
    ...given.parameters.map((parameter) => {
      const query = [
        text(2, parameter.in),
        text(3, parameter.description),
        text(4, parameter.name),
        text(6, parameter.type),
      ];
      return message(8, [message(1, [message(2, [message(3, query)])])]);
    }),
    message(
      9,
      Object.entries(given.responses).map(([code, { description }]) =>
        named(1, code, [message(1, [text(1, description)])]),
      ),
    ),
    ...extensions(given as unknown as Record<string, unknown>, 13),
  ];
}

function schema(given: OpenApiSchema): Field[] {
  const fields: Field[] = [];
  const texts: [keyword: string, number: number][] = [
    ['$ref', 1],
    ['format', 2],
    ['title', 3],
    ['description', 4],
  ];
  for (const [keyword, number] of texts) {
    if (typeof given[keyword] === 'string') fields.push(text(number, given[keyword]));
  }
  for (const name of (given.required ?? []) as string[]) fields.push(text(19, name));
  for (const value of (given.enum ?? []) as unknown[]) fields.push(message(20, any(value)));
  if (given.additionalProperties)
    fields.push(message(21, [message(1, schema(given.additionalProperties as OpenApiSchema))]));
  if (typeof given.type === 'string') fields.push(message(22, [text(1, given.type)]));
  if (given.items) fields.push(message(23, [message(1, schema(given.items as OpenApiSchema))]));
  if (given.properties) {
    const properties = Object.entries(given.properties as Record<string, OpenApiSchema>);
    fields.push(
      message(
        25,
        properties.map(([name, child]) => named(1, name, schema(child))),
      ),
    );
  }
  return [...fields, ...extensions(given, 31)];
}

function extensions(given: Record<string, unknown>, number: number): Field[] {
  return Object.entries(given)
    .filter(([keyword]) => keyword.startsWith('x-'))
    .map(([keyword, value]) => named(number, keyword, any(value)));
}

/** The message `Any` holds YAML text; JSON is YAML. */
function any(value: unknown): Field[] {
  return [text(2, JSON.stringify(value))];
}

/** Maps are lists of messages with a name and a value. */
function named(number: number, name: string, value: readonly Field[]): Field {
  return message(number, [text(1, name), message(2, value)]);
}
