import type { ResourceDefinition } from '../resources/definition.ts';

export interface SubresourceInfo {
  name: string;
  verbs: string[];
  /** The kind it answers with, when that is not the resource's own. */
  responseKind?: { group: string; version: string; kind: string };
}

/** The subresources a definition is served with. */
export function subresourcesOf(definition: ResourceDefinition): SubresourceInfo[] {
  const verbs = ['get', 'patch', 'update'];
  return [
    ...(definition.group === '' && definition.plural === 'namespaces' ? [{ name: 'finalize', verbs: ['update'] }] : []),
    ...(definition.status ? [{ name: 'status', verbs }] : []),
    ...(definition.scale
      ? [{ name: 'scale', verbs, responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' } }]
      : []),
  ];
}
