import { createHash } from 'node:crypto';
import type { ResourceRegistry } from '../resources/definition.ts';
import { type AggregatedVersion, groupDiscoveryList } from './aggregated.ts';
import { type DiscoveredGroup, discoveredGroups } from './groups.ts';
import { apiGroup, apiGroupList, apiResourceList, apiVersions } from './plain.ts';
import { versionInfo } from './version.ts';

/** A ready answer; the server only sends it. */
export interface StaticAnswer {
  status: number;
  headers: Record<string, string>;
  body: string | Buffer;
}

/**
 * Answers the documents by which clients learn what is served. `undefined`: not a discovery path.
 * `ifNoneMatch` is the request's header; a match gives 304.
 */
export type DocumentHandler = (
  path: string,
  accept: string | undefined,
  query: URLSearchParams,
  ifNoneMatch?: string,
) => StaticAnswer | undefined;

/** `/api`, `/apis`, `/apis/<group>`, `/apis/<group>/<version>`, `/api/v1` and `/version`. Built once after each change of the registry. */
export function discoveryHandler(registry: ResourceRegistry): DocumentHandler {
  let groups: DiscoveredGroup[] | undefined;
  let answers = new Map<string, StaticAnswer | undefined>();
  registry.onChange(() => {
    groups = undefined;
    answers = new Map();
  });
  return (path, accept, _query, ifNoneMatch) => {
    const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
    if (!/^\/(api|apis|version)(\/|$)/.test(trimmed)) return undefined;
    const aggregated = trimmed === '/api' || trimmed === '/apis' ? aggregatedVersion(accept ?? '') : undefined;
    const key = `${trimmed} ${aggregated ?? ''}`;
    if (!answers.has(key)) {
      groups ??= discoveredGroups(registry.list());
      const answer = answerFor(trimmed, aggregated, groups);
      // Paths that are not discovery are as many as there are objects: they must not fill the memory.
      if (!answer) return undefined;
      answers.set(key, answer);
    }
    const answer = answers.get(key);
    return answer && ifNoneMatch !== undefined && answer.headers.etag === ifNoneMatch
      ? { ...answer, status: 304, body: '' }
      : answer;
  };
}

function answerFor(
  path: string,
  aggregated: AggregatedVersion | undefined,
  groups: DiscoveredGroup[],
): StaticAnswer | undefined {
  if (aggregated) {
    const core = path === '/api';
    const document = groupDiscoveryList(
      groups.filter(({ name }) => (name === '') === core),
      aggregated,
    );
    return tagged(document, `application/json;g=apidiscovery.k8s.io;v=${aggregated};as=APIGroupDiscoveryList`);
  }
  const document = plainDocument(path, groups);
  if (!document) return undefined;
  const headers: Record<string, string> = { 'content-type': 'application/json', 'cache-control': 'no-cache, private' };
  if (path === '/api' || path === '/apis') headers.vary = 'Accept';
  return { status: 200, headers, body: JSON.stringify(document) };
}

function plainDocument(path: string, groups: DiscoveredGroup[]): object | undefined {
  if (path === '/version') return versionInfo;
  if (path === '/api') return apiVersions();
  if (path === '/apis') return apiGroupList(groups);
  const [, root, ...names] = path.split('/');
  const [groupName, versionName] = root === 'api' ? ['', names[0]] : names;
  if (names.length > (root === 'api' ? 1 : 2)) return undefined;
  const group = groups.find(({ name }) => name === groupName);
  if (!group || (root === 'apis' && groupName === '')) return undefined;
  if (versionName === undefined) return apiGroup(group);
  const version = group.versions.find(({ version: name }) => name === versionName);
  return version && apiResourceList(group.name, version);
}

/** The first form of aggregated discovery that the client accepts and that comes before plain JSON. */
function aggregatedVersion(accept: string): AggregatedVersion | undefined {
  for (const range of accept.split(',')) {
    const [type, ...rest] = range.split(';').map((part) => part.trim());
    if (type !== 'application/json') continue;
    const parameters = new Map(rest.map((part) => part.split('=') as [string, string]));
    if (parameters.get('as') === undefined) return undefined;
    const version = parameters.get('v');
    if (parameters.get('as') !== 'APIGroupDiscoveryList' || parameters.get('g') !== 'apidiscovery.k8s.io') continue;
    if (version === 'v2' || version === 'v2beta1') return version;
  }
  return undefined;
}

function tagged(document: object, contentType: string): StaticAnswer {
  const body = JSON.stringify(document);
  const etag = `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"`;
  return {
    status: 200,
    headers: { 'content-type': contentType, 'cache-control': 'public', vary: 'Accept', etag },
    body,
  };
}
