import type { ResourceDefinition } from '../resources/definition.ts';
import type { DiscoveredGroup } from './groups.ts';
import { subresourcesOf } from './subresources.ts';

export type AggregatedVersion = 'v2' | 'v2beta1';

/** Everything that plain discovery needs one request per group version for, in one document (`apidiscovery.k8s.io`). */
export function groupDiscoveryList(groups: readonly DiscoveredGroup[], version: AggregatedVersion): object {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map(({ name, versions }) => ({
      metadata: name ? { name } : {},
      versions: versions.map((served) => ({
        version: served.version,
        resources: served.definitions.map(resourceEntry),
        freshness: 'Current',
      })),
    })),
  };
}

function resourceEntry(definition: ResourceDefinition): object {
  const { group, version, kind, plural, singular, namespaced, verbs, shortNames, categories } = definition;
  const responseKind = { group, version, kind };
  const subresources = subresourcesOf(definition);
  return {
    resource: plural,
    responseKind,
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs,
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
    ...(subresources.length > 0 && {
      subresources: subresources.map((sub) => ({
        subresource: sub.name,
        responseKind: sub.responseKind ?? responseKind,
        verbs: sub.verbs,
      })),
    }),
  };
}
