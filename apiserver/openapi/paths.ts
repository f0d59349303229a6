import { patchTypesOf } from '../apply/patch.ts';
import type { OpenApiSchema, ResourceDefinition } from '../resources/definition.ts';
import { deleteOptionsName, ref, scaleName } from './meta-schemas.ts';
import { groupVersionKind, schemaName } from './schema-names.ts';

type PathItem = Record<string, unknown>;

/**
 * The paths of a definition. kubectl reads here which patch types and which of dryRun and fieldValidation a kind supports; code generators read the rest.
 */
export function pathsOf(definition: ResourceDefinition): Record<string, PathItem> {
  const root = definition.group ? `/apis/${definition.group}/${definition.version}` : `/api/${definition.version}`;
  const scope = definition.namespaced
    ? `${root}/namespaces/{namespace}/${definition.plural}`
    : `${root}/${definition.plural}`;
  const build = new PathBuilder(definition);
  if (definition.review) return { [scope]: build.item([], { post: build.write('post', 'create') }) };
  const one = `${scope}/{name}`;
  const paths: Record<string, PathItem> = {
    [scope]: build.item([], build.collection()),
    [one]: build.item(['name'], build.single()),
  };
  if (definition.namespaced)
    paths[`${root}/${definition.plural}`] = build.item([], { get: build.list('AllNamespaces') }, false);
  if (definition.status)
    paths[`${one}/status`] = build.item(['name'], build.subresource('Status', schemaName(definition)));
  if (definition.scale) paths[`${one}/scale`] = build.item(['name'], build.subresource('Scale', scaleName));
  return paths;
}

const query = (name: string, type: string, description: string): object => ({
  name,
  in: 'query',
  description,
  schema: { type, uniqueItems: true },
});

const listParameters = [
  query('labelSelector', 'string', 'Only objects whose labels match.'),
  query('fieldSelector', 'string', 'Only objects whose fields match.'),
  query('limit', 'integer', 'At most so many objects; the answer has a token for the rest.'),
  query('continue', 'string', 'The token of the page before.'),
  query('resourceVersion', 'string', 'The version to read or to watch from.'),
  query('resourceVersionMatch', 'string', 'Exact or NotOlderThan.'),
  query('watch', 'boolean', 'Answer with a stream of changes.'),
  query('allowWatchBookmarks', 'boolean', 'Send the version now and then although nothing changed.'),
  query('sendInitialEvents', 'boolean', 'Begin a watch with the objects that are there.'),
  query('timeoutSeconds', 'integer', 'End a watch after this time.'),
];

const writeParameters = [
  query('dryRun', 'string', '`All`: check everything, write nothing.'),
  query('fieldManager', 'string', 'The name under which the written fields are kept.'),
  query('fieldValidation', 'string', 'What to do with unknown and duplicate fields: Ignore, Warn or Strict.'),
];

const force = query('force', 'boolean', 'Server-side apply: take fields over from other managers.');

class PathBuilder {
  readonly #definition: ResourceDefinition;
  readonly #schema: string;

  constructor(definition: ResourceDefinition) {
    this.#definition = definition;
    this.#schema = schemaName(definition);
  }

  item(variables: string[], operations: PathItem, namespaced = this.#definition.namespaced): PathItem {
    const names = [...variables, ...(namespaced ? ['namespace'] : [])];
    const parameters = names.map((name) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string', uniqueItems: true },
    }));
    return parameters.length > 0 ? { ...operations, parameters } : operations;
  }

  collection(): PathItem {
    const deletes = this.#definition.verbs.includes('deletecollection');
    return {
      get: this.list(''),
      post: this.write('post', 'create'),
      ...(deletes && {
        delete: this.#operation('delete', 'deletecollection', 'Collection', listParameters, ref(deleteOptionsName)),
      }),
    };
  }

  single(): PathItem {
    return {
      get: this.#operation('get', 'read', '', []),
      put: this.write('put', 'replace'),
      patch: this.patch('', this.#schema),
      delete: this.#operation('delete', 'delete', '', [writeParameters[0]!], ref(deleteOptionsName)),
    };
  }

  subresource(name: string, schema: string): PathItem {
    return {
      get: this.#operation('get', 'read', name, [], undefined, schema),
      put: this.#operation('put', 'replace', name, writeParameters, ref(schema), schema),
      patch: this.patch(name, schema),
    };
  }

  list(suffix: string): object {
    return this.#operation('list', 'list', suffix, listParameters, undefined, `${this.#schema}List`);
  }

  write(action: string, verb: string): object {
    return this.#operation(action, verb, '', writeParameters, ref(this.#schema));
  }

  patch(suffix: string, schema: string): object {
    const content = Object.fromEntries(
      patchTypesOf(this.#definition).map((type) => [type, { schema: { type: 'object' } }]),
    );
    return {
      ...this.#operation('patch', 'patch', suffix, [...writeParameters, force], undefined, schema),
      requestBody: { content, required: true },
    };
  }

  #operation(
    action: string,
    verb: string,
    suffix: string,
    parameters: object[],
    body?: string,
    answer: string = this.#schema,
  ): { [key: string]: unknown } {
    const { group, version, kind, namespaced } = this.#definition;
    const tag = `${camel(group === '' ? 'core' : group)}_${version}`;
    const scope = namespaced && suffix !== 'AllNamespaces' ? 'Namespaced' : '';
    const schema: OpenApiSchema = { $ref: ref(answer) };
    return {
      tags: [tag],
      description: `${verb} ${suffix ? `${suffix.toLowerCase()} of ` : ''}${kind}`,
      operationId: `${verb}${pascal(group === '' ? 'core' : group)}${pascal(version)}${scope}${kind}${suffix === '' ? '' : suffix}`,
      ...(parameters.length > 0 && { parameters }),
      ...(body && { requestBody: { content: { '*/*': { schema: { $ref: body } } } } }),
      responses: {
        '200': { description: 'OK', content: { 'application/json': { schema }, 'application/yaml': { schema } } },
      },
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': groupVersionKind(this.#definition),
    };
  }
}

function camel(text: string): string {
  const name = pascal(text);
  return name.charAt(0).toLowerCase() + name.slice(1);
}

function pascal(text: string): string {
  return text
    .split(/[.-]/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
}
