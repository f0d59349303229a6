import type { ApiObject, ListOptions, ObjectKey, Resource } from './client.ts';

/** `/apis/tepui.dev/v1alpha1/namespaces/demo/tasks`, without a namespace the path of all of them. */
export function collectionPath(resource: Resource<ApiObject>, namespace?: string): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${resource.plural}`;
}

export function objectPath(resource: Resource<ApiObject>, key: ObjectKey, subresource?: string): string {
  // An empty name would turn a delete of one object into a delete of all of them.
  if (!key.name) throw new TypeError(`a ${resource.kind} must be named`);
  if (resource.namespaced && !key.namespace)
    throw new TypeError(`a namespace is needed to name ${resource.kind} ${key.name}`);
  const path = `${collectionPath(resource, key.namespace)}/${encodeURIComponent(key.name)}`;
  return subresource ? `${path}/${subresource}` : path;
}

export function listQuery(options: ListOptions): Record<string, string | undefined> {
  return {
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    limit: options.limit?.toString(),
    continue: options.continue,
    resourceVersion: options.resourceVersion,
  };
}

export function withQuery(path: string, query: Record<string, string | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') search.set(name, value);
  const text = search.toString();
  return text === '' ? path : `${path}?${text}`;
}
