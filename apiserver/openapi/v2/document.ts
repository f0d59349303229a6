import { patchTypesOf } from '../../apply/patch.ts';
import { versionInfo } from '../../discovery/version.ts';
import type { OpenApiSchema, ResourceDefinition } from '../../resources/definition.ts';
import { kindSchemas } from '../kind-schemas.ts';
import { metaSchemas } from '../meta-schemas.ts';
import { groupVersionKind, schemaName } from '../schema-names.ts';
import { toV2Schema } from './schema.ts';

export interface V2Document {
  swagger: '2.0';
  info: { title: string; version: string };
  paths: Record<string, { patch: V2Operation }>;
  definitions: Record<string, OpenApiSchema>;
}

export interface V2Operation {
  operationId: string;
  consumes: string[];
  parameters: { name: string; in: 'query'; type: string; description: string }[];
  responses: Record<string, { description: string }>;
  'x-kubernetes-action': string;
  'x-kubernetes-group-version-kind': object;
}

/**
 * What kubectl before 1.24 validates, explains and merges with. Of the paths only the patches are given: from them it learns what supports dryRun.
 */
export function v2Document(definitions: readonly ResourceDefinition[]): V2Document {
  const schemas: Record<string, OpenApiSchema> = { ...metaSchemas };
  const paths: V2Document['paths'] = {};
  for (const definition of definitions) {
    Object.assign(schemas, kindSchemas(definition));
    if (!definition.review) paths[pathOf(definition)] = { patch: patchOperation(definition) };
  }
  return {
    swagger: '2.0',
    info: { title: 'Tepui', version: versionInfo.gitVersion },
    paths,
    definitions: Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, toV2Schema(schema)])),
  };
}

function pathOf({ group, version, plural, namespaced }: ResourceDefinition): string {
  const root = group ? `/apis/${group}/${version}` : `/api/${version}`;
  return `${root}/${namespaced ? 'namespaces/{namespace}/' : ''}${plural}/{name}`;
}

function patchOperation(definition: ResourceDefinition): V2Operation {
  return {
    operationId: `patch${schemaName(definition).replaceAll('.', '_')}`,
    consumes: patchTypesOf(definition),
    parameters: ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
      name,
      in: 'query',
      type: 'string',
      description: 'See the OpenAPI v3 document.',
    })),
    responses: { '200': { description: 'OK' } },
    'x-kubernetes-action': 'patch',
    'x-kubernetes-group-version-kind': groupVersionKind(definition),
  };
}
