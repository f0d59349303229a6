/** The endpoint's paths. Pure matching here; what each does is in its own file. */
import type { AccessAttributes } from './authorize.ts';

export type Route =
  | { kind: 'health' }
  | { kind: 'metrics' }
  | { kind: 'tasks' }
  | { kind: 'stats'; task?: TaskName }
  | { kind: 'logs'; task: TaskName }
  | { kind: 'exec' | 'attach' | 'portforward'; task: TaskName }
  | { kind: 'files'; task: TaskName }
  | { kind: 'sandbox'; action: 'browse' | 'read' | 'download'; task: TaskName }
  | ImagesRoute;

/** GET and DELETE without an action, POST with one. */
export interface ImagesRoute {
  kind: 'images';
  action?: 'pull' | 'prune';
}

/** Needs a WebSocket. */
export type SessionRoute = Route & { kind: 'exec' | 'attach' | 'portforward' };

export function isSession(route: Route): route is SessionRoute {
  return route.kind === 'exec' || route.kind === 'attach' || route.kind === 'portforward';
}

export interface TaskName {
  namespace: string;
  name: string;
}

/** undefined for an unknown path. */
export function matchRoute(path: string): Route | undefined {
  const [first, ...parts] = path.split('/').slice(1).map(safeDecode);
  if (first === 'images') return imagesRoute(parts);
  const action = first === 'sandbox' ? parts.shift() : undefined;
  const [namespace, name, ...rest] = parts;
  if (rest.length > 0) return undefined;
  const task = namespace && name ? { namespace, name } : undefined;
  const alone = namespace === undefined;
  switch (first) {
    case 'healthz':
      return alone ? { kind: 'health' } : undefined;
    case 'metrics':
      return alone ? { kind: 'metrics' } : undefined;
    case 'tasks':
      return alone ? { kind: 'tasks' } : undefined;
    case 'stats':
      return alone ? { kind: 'stats' } : task && { kind: 'stats', task };
    case 'logs':
      return task && { kind: 'logs', task };
    case 'files':
    case 'exec':
    case 'attach':
    case 'portforward':
      return task && { kind: first, task };
    case 'sandbox':
      return action === 'browse' || action === 'read' || action === 'download'
        ? task && { kind: 'sandbox', action, task }
        : undefined;
    default:
      return undefined;
  }
}

function imagesRoute([action, ...rest]: string[]): ImagesRoute | undefined {
  if (rest.length > 0) return undefined;
  if (action === undefined) return { kind: 'images' };
  return action === 'pull' || action === 'prune' ? { kind: 'images', action } : undefined;
}

/** What the caller must be allowed to do; undefined when anybody may. */
export function accessFor(route: Route, agentName: string, method = 'GET'): AccessAttributes | undefined {
  switch (route.kind) {
    case 'health':
      return undefined;
    case 'images': {
      const verb = method === 'GET' ? 'get' : route.action === 'pull' ? 'create' : 'delete';
      return { verb, resource: 'agents', subresource: 'images', name: agentName };
    }
    case 'logs':
      return { verb: 'get', resource: 'tasks', subresource: 'log', ...route.task };
    case 'exec':
    case 'attach':
    case 'portforward':
      return { verb: 'create', resource: 'tasks', subresource: route.kind, ...route.task };
    case 'files':
      return { verb: method === 'PUT' ? 'create' : 'get', resource: 'tasks', subresource: 'files', ...route.task };
    case 'sandbox':
      return { verb: 'get', resource: 'tasks', subresource: 'sandbox', ...route.task };
    case 'stats':
      if (route.task !== undefined) return { verb: 'get', resource: 'tasks', subresource: 'stats', ...route.task };
      return { verb: 'get', resource: 'agents', subresource: 'stats', name: agentName };
    default:
      return { verb: 'get', resource: 'agents', subresource: 'stats', name: agentName };
  }
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '\0';
  }
}
