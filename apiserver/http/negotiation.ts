import type { ResourceDefinition } from '../resources/definition.ts';
import { type IncludeObject, toTable } from '../table/table.ts';
import type { Representation } from '../watch/representation.ts';
import { ApiError } from './errors.ts';

/** What the client wants to read. */
export interface ResponseForm {
  media: 'json' | 'yaml';
  /** Undefined: the objects themselves. */
  as?: 'Table' | 'PartialObjectMetadata';
}

const plain: ResponseForm = { media: 'json' };

/** The first of the client's media types that can be served; 406 if there is none. Protobuf never is: such clients name JSON as well. */
export function negotiate(accept: string | undefined): ResponseForm {
  if (accept === undefined || accept === '' || accept === '*/*' || accept === 'application/json') return plain;
  for (const range of accept.split(',')) {
    const form = formOf(range);
    if (form) return form;
  }
  throw new ApiError(
    'NotAcceptable',
    `only the following media types are accepted: application/json, application/yaml (asked for: ${accept.slice(0, 200)})`,
  );
}

function formOf(range: string): ResponseForm | undefined {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
  const values = new Map(parameters.map((parameter) => parameter.split('=', 2) as [string, string]));
  if (values.get('q') === '0') return undefined;
  const media =
    type === 'application/yaml'
      ? 'yaml'
      : ['application/json', 'application/*', '*/*'].includes(type)
        ? 'json'
        : undefined;
  if (media === undefined) return undefined;
  const as = values.get('as');
  if (as === undefined) return { media };
  if ((values.get('g') ?? 'meta.k8s.io') !== 'meta.k8s.io' || (values.get('v') ?? 'v1') !== 'v1') return undefined;
  if (as === 'Table') return { media, as };
  return as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList'
    ? { media, as: 'PartialObjectMetadata' }
    : undefined;
}

/** How single objects and watch events go out in a form. */
export function representationOf(
  definition: ResourceDefinition,
  form: ResponseForm,
  includeObject: IncludeObject,
): Representation {
  const base = `${definition.group}/${definition.version}/${definition.plural}`;
  const view = definition.storage?.fromStored;
  if (form.as === undefined) return view ? { key: base, convert: view } : { key: base };
  const own = view ?? ((object) => object);
  if (form.as === 'PartialObjectMetadata') {
    return {
      key: `${base} metadata`,
      convert: (object) => ({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }),
    };
  }
  return {
    key: `${base} table ${includeObject}`,
    convert: (object) => {
      const { resourceVersion } = object.metadata;
      return toTable(definition, [own(object)], { includeObject, listMeta: { resourceVersion } });
    },
  };
}
