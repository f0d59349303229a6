import { createHash } from 'node:crypto';
import type { DocumentHandler, StaticAnswer } from '../discovery/discovery.ts';
import { discoveredGroups } from '../discovery/groups.ts';
import { versionInfo } from '../discovery/version.ts';
import type { OpenApiSchema, ResourceDefinition, ResourceRegistry } from '../resources/definition.ts';
import { kindSchemas } from './kind-schemas.ts';
import { metaSchemas } from './meta-schemas.ts';
import { pathsOf } from './paths.ts';
import { v2Document } from './v2/document.ts';
import { encodeV2 } from './v2/encode.ts';

const v2Type = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/**
 * `/openapi/v2`, one document for old clients; `/openapi/v3`, an index of documents with hashes, and `/openapi/v3/<group version>`. A URL with the current hash may be cached for ever.
 */
export function openapiHandler(registry: ResourceRegistry): DocumentHandler {
  let documents: Map<string, Document> | undefined;
  let v2: { json: string; protobuf: Buffer } | undefined;
  registry.onChange(() => {
    documents = undefined;
    v2 = undefined;
  });
  return (path, accept, query, ifNoneMatch) => {
    if (path === '/openapi/v2') {
      v2 ??= v2Bodies(registry.list());
      // kubectl names the type with an @ that the answer's type has not.
      return (accept ?? '').includes('proto-openapi')
        ? answer(v2.protobuf, undefined, ifNoneMatch, v2Type)
        : answer(v2.json, undefined, ifNoneMatch);
    }
    if (path !== '/openapi/v3' && !path.startsWith('/openapi/v3/')) return undefined;
    documents ??= documentsOf(registry.list());
    const name = path.slice('/openapi/v3'.length).replace(/^\/|\/$/g, '');
    if (name === '') return answer(index(documents), undefined, ifNoneMatch);
    const document = documents.get(name);
    if (!document) return undefined;
    return answer(document.body(), query.get('hash') ?? undefined, ifNoneMatch);
  };
}

/** One group version; its text is written when somebody asks for it, since most never are. */
class Document {
  readonly #definitions: ResourceDefinition[];
  #body: string | undefined;
  #hash: string | undefined;

  constructor(definitions: ResourceDefinition[]) {
    this.#definitions = definitions;
  }

  body(): string {
    this.#body ??= JSON.stringify(openApiDocument(this.#definitions));
    return this.#body;
  }

  hash(): string {
    this.#hash ??= sha512(this.body());
    return this.#hash;
  }
}

function documentsOf(definitions: readonly ResourceDefinition[]): Map<string, Document> {
  const documents = new Map<string, Document>();
  for (const { name, versions } of discoveredGroups(definitions)) {
    for (const { version, definitions: served } of versions) {
      documents.set(name === '' ? `api/${version}` : `apis/${name}/${version}`, new Document(served));
    }
  }
  return documents;
}

function index(documents: ReadonlyMap<string, Document>): string {
  const paths: Record<string, { serverRelativeURL: string }> = {};
  for (const [name, document] of documents) {
    paths[name] = { serverRelativeURL: `/openapi/v3/${name}?hash=${document.hash()}` };
  }
  return JSON.stringify({ paths });
}

/** The OpenAPI v3 document of the definitions of one group version. */
export function openApiDocument(definitions: readonly ResourceDefinition[]): object {
  const schemas: Record<string, OpenApiSchema> = { ...metaSchemas };
  const paths: Record<string, unknown> = {};
  for (const definition of definitions) {
    Object.assign(schemas, kindSchemas(definition));
    Object.assign(paths, pathsOf(definition));
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Tepui', version: versionInfo.gitVersion },
    paths,
    components: { schemas },
  };
}

function v2Bodies(definitions: readonly ResourceDefinition[]): { json: string; protobuf: Buffer } {
  const document = v2Document(definitions);
  return { json: JSON.stringify(document), protobuf: encodeV2(document) };
}

function answer(
  body: string | Buffer,
  hash: string | undefined,
  ifNoneMatch: string | undefined,
  contentType = 'application/json',
): StaticAnswer {
  const etag = `"${sha512(body)}"`;
  const current = hash !== undefined && `"${hash}"` === etag;
  const headers = {
    'content-type': contentType,
    'cache-control': current ? 'public, immutable' : 'no-cache, private',
    vary: 'Accept',
    etag,
  };
  return ifNoneMatch === etag ? { status: 304, headers, body: '' } : { status: 200, headers, body };
}

function sha512(text: string | Buffer): string {
  return createHash('sha512').update(text).digest('hex').toUpperCase();
}
