export { applyDefaults } from './default.ts';
export * from './errors.ts';
export { prune } from './prune.ts';
export type { AnySchema, Schema, ValidationRule } from './schema.ts';
export { blocksRules, RULES_NOT_CHECKED, validateStructure } from './validate.ts';
