import type { ApiObject, ObjectKey } from './client/client.ts';

/** `namespace/name`, or just `name` for cluster-scoped kinds: the form in which queues, stores and logs hold an ObjectKey. */
export function keyText(key: ObjectKey): string {
  return key.namespace ? `${key.namespace}/${key.name}` : key.name;
}

export function parseKey(text: string): ObjectKey {
  const slash = text.indexOf('/');
  return slash < 0 ? { name: text } : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

export function keyOf(object: ApiObject): ObjectKey {
  const { namespace, name } = object.metadata ?? {};
  return namespace ? { namespace, name: name ?? '' } : { name: name ?? '' };
}
