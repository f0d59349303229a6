import type { ApiClient, ApiObject, Resource } from '../machinery/client/client.ts';

interface ApiResourceList {
  resources?: { name: string; kind: string; namespaced: boolean }[];
}

/** Finds the REST resource of a kind by discovery, as kubectl's RESTMapper does. */
export interface RestMapper {
  /** undefined when the server does not serve that kind (yet). */
  find(apiVersion: string, kind: string): Promise<Resource<ApiObject> | undefined>;
}

/** Answers are kept per group and version; a kind that is missing is asked for again, since a CRD may have come meanwhile. */
export function createRestMapper(client: ApiClient): RestMapper {
  const lists = new Map<string, ApiResourceList>();
  const load = async (apiVersion: string) => {
    const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const { status, body } = await client.raw('GET', path);
    if (status === 200) lists.set(apiVersion, body as ApiResourceList);
  };
  const lookUp = (apiVersion: string, kind: string) =>
    lists.get(apiVersion)?.resources?.find((resource) => resource.kind === kind && !resource.name.includes('/'));
  return {
    async find(apiVersion, kind) {
      if (!lookUp(apiVersion, kind)) await load(apiVersion);
      const found = lookUp(apiVersion, kind);
      if (!found) return undefined;
      const [group, version] = apiVersion.includes('/')
        ? (apiVersion.split('/') as [string, string])
        : ['', apiVersion];
      return { group, version, plural: found.name, kind, namespaced: found.namespaced };
    },
  };
}
