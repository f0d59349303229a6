import { badRequest } from '../http/errors.ts';
import type { KubernetesObject, ResourceDefinition } from '../resources/definition.ts';

/** Says whether an object is selected by its fields. */
export type FieldPredicate = (object: KubernetesObject) => boolean;

interface Requirement {
  field: string;
  negated: boolean;
  value: string;
}

/**
 * Parses `metadata.name=a,spec.binding.agentName!=b`. Only metadata.name, metadata.namespace and the definition's selectable fields are known; an
 * absent field has the empty value. Throws ApiError 400.
 */
export function parseFieldSelector(text: string | undefined, definition: ResourceDefinition): FieldPredicate {
  const requirements = fieldRequirements(text ?? '');
  const tests = requirements.map(({ field, negated, value }): FieldPredicate => {
    const read = fieldReader(field, definition);
    return (object) => (read(object) === value) !== negated;
  });
  return (object) => tests.every((test) => test(object));
}

/** The name that a selector demands (`metadata.name=x`), so that a handler can read one object instead of all. */
export function selectedName(text: string | undefined): string | undefined {
  return fieldRequirements(text ?? '').find(({ field, negated }) => field === 'metadata.name' && !negated)?.value;
}

function fieldRequirements(text: string): Requirement[] {
  return splitUnescaped(text)
    .filter((term) => term !== '')
    .map((term) => {
      const match = /^((?:[^=!\\]|\\.)*?)(!=|==|=)([\s\S]*)$/.exec(term);
      if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
      return { field: match[1]!, negated: match[2] === '!=', value: unescaped(match[3]!) };
    });
}

function splitUnescaped(text: string): string[] {
  return text.match(/(?:[^,\\]|\\[\s\S]?)+/g) ?? [];
}

function unescaped(value: string): string {
  let out = '';
  for (let i = 0; i < value.length; i++) {
    const character = value[i]!;
    if (character === '\\') {
      const escaped = value[++i];
      if (escaped === undefined || !'\\,='.includes(escaped)) {
        throw badRequest(`invalid field selector: invalid escape sequence: \\${escaped ?? ''}`);
      }
      out += escaped;
    } else if (character === '=' || character === ',') {
      throw badRequest(`invalid field selector: unescaped character in value: ${character.charCodeAt(0)}`);
    } else {
      out += character;
    }
  }
  return out;
}

function fieldReader(field: string, definition: ResourceDefinition): (object: KubernetesObject) => string {
  if (field === 'metadata.name') return (object) => object.metadata.name;
  if (field === 'metadata.namespace' && definition.namespaced) return (object) => object.metadata.namespace ?? '';
  if (!definition.selectableFields.includes(`.${field}`)) throw badRequest(`field label not supported: ${field}`);
  const path = field.split('.');
  return (object) => {
    let value: unknown = object;
    for (const part of path) value = (value as Record<string, unknown> | undefined | null)?.[part];
    return value === undefined || value === null ? '' : String(value);
  };
}
