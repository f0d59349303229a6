import type { UserInfo } from '../resources/definition.ts';
import type { ApiRequest, ApiResponse } from './exchange.ts';
import type { ResourceRoute } from './route.ts';

/** One authenticated request to a resource. */
export interface ResourceRequest {
  route: ResourceRoute;
  verb: Verb;
  query: URLSearchParams;
  user: UserInfo;
  http: ApiRequest;
  response: ApiResponse;
}

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

/** The verb of discovery, rights and metrics. Undefined for methods that resources do not know. */
export function verbOf(method: string | undefined, route: ResourceRoute, query: URLSearchParams): Verb | undefined {
  const isItem = route.name !== undefined;
  switch (method) {
    case 'GET':
    case 'HEAD': {
      const watch = query.get('watch');
      if (watch === 'true' || watch === '1') return 'watch';
      return isItem ? 'get' : 'list';
    }
    case 'POST':
      return isItem ? undefined : 'create';
    case 'PUT':
      return isItem ? 'update' : undefined;
    case 'PATCH':
      return isItem ? 'patch' : undefined;
    case 'DELETE':
      return isItem ? 'delete' : 'deletecollection';
    default:
      return undefined;
  }
}
