import { checkRules } from '../../../crds/cel/rules.ts';
import type { FieldCause } from '../../http/errors.ts';
import type { OpenApiSchema } from '../../resources/definition.ts';
import { toCause } from '../../schema/structure.ts';
import { invalidValue, notSupported, required } from './causes.ts';

const reasons = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];

/** What is wrong with the `x-kubernetes-validations` of a schema: their form, and whether they compile. */
export function ruleCauses(schema: OpenApiSchema, path: string): FieldCause[] {
  const causes = formCauses(schema, path);
  if (causes.length > 0) return causes;
  return checkRules(schema).map((error) => {
    const cause = toCause(error);
    return { ...cause, field: `${path}.${cause.field}` };
  });
}

function formCauses(schema: OpenApiSchema, path: string): FieldCause[] {
  const rules = schema['x-kubernetes-validations'];
  const causes = Array.isArray(rules)
    ? rules.flatMap((rule: unknown, index) => ruleFormCauses(rule, `${path}.x-kubernetes-validations[${index}]`))
    : [];
  for (const [name, property] of Object.entries((schema.properties ?? {}) as Record<string, OpenApiSchema>)) {
    causes.push(...formCauses(property, `${path}.properties[${name}]`));
  }
  for (const keyword of ['items', 'additionalProperties']) {
    const child = schema[keyword];
    if (typeof child === 'object' && child !== null)
      causes.push(...formCauses(child as OpenApiSchema, `${path}.${keyword}`));
  }
  return causes;
}

function ruleFormCauses(given: unknown, path: string): FieldCause[] {
  const { rule, message, reason } = (given ?? {}) as Record<string, unknown>;
  const causes: FieldCause[] = [];
  if (typeof rule !== 'string' || rule.trim() === '') causes.push(required(`${path}.rule`, 'rule is not specified'));
  if (typeof message === 'string' && message !== '') {
    if (message.trim() === '') causes.push(invalidValue(`${path}.message`, message, 'must be non-empty if specified'));
    else if (message.includes('\n'))
      causes.push(invalidValue(`${path}.message`, message, 'must not contain line breaks'));
  }
  if (reason !== undefined && !reasons.includes(reason as string))
    causes.push(notSupported(`${path}.reason`, reason, reasons));
  return causes;
}
