import type { ResourceDefinition } from '../resources/definition.ts';

const packages: Record<string, string> = {
  '': 'io.k8s.api.core',
  'coordination.k8s.io': 'io.k8s.api.coordination',
  'events.k8s.io': 'io.k8s.api.events',
  'authentication.k8s.io': 'io.k8s.api.authentication',
  'authorization.k8s.io': 'io.k8s.api.authorization',
  'apiextensions.k8s.io': 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions',
};

/** `dev.tepui.v1alpha1.Framework`: the group reversed, as the genuine server names schemas. */
export function schemaName({ group, version, kind }: Pick<ResourceDefinition, 'group' | 'version' | 'kind'>): string {
  const prefix = packages[group] ?? group.split('.').reverse().join('.');
  return `${prefix}.${version}.${kind}`;
}

export function groupVersionKind({ group, version, kind }: Pick<ResourceDefinition, 'group' | 'version' | 'kind'>) {
  return { group, kind, version };
}
