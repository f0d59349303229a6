/** Who may use the TCP endpoint: the API server decides, by TokenReview and SubjectAccessReview. Answers are kept for 10 seconds. */
import { createHash } from 'node:crypto';
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';

/** What is asked for, as the API server's access rules name it. */
export interface AccessAttributes {
  verb: 'get' | 'create' | 'delete';
  resource: 'tasks' | 'agents';
  subresource: 'log' | 'exec' | 'attach' | 'portforward' | 'sandbox' | 'files' | 'stats' | 'images';
  namespace?: string;
  name: string;
}

export type Verdict = { allowed: true } | { allowed: false; status: 401 | 403 | 503; message: string };

export interface Authorizer {
  authorize(authorization: string | undefined, attributes: AccessAttributes): Promise<Verdict>;
}

const KEEP_MS = 10_000;
const MOST_ENTRIES = 1_000;

/** Asks through the agent's own client; the agent needs the right to create both kinds of review. */
export function createAuthorizer(client: ApiClient): Authorizer {
  const cache = new Map<string, { verdict: Promise<Verdict>; untilMs: number }>();
  return {
    async authorize(authorization, attributes) {
      const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1];
      if (token === undefined) return { allowed: false, status: 401, message: 'a bearer token is needed' };
      // Only a digest is kept, so that a dump of this process's memory structures holds no credentials of others.
      const key = createHash('sha256')
        .update(`${token}\n${JSON.stringify(attributes)}`)
        .digest('base64');
      const cached = cache.get(key);
      if (cached !== undefined && cached.untilMs > Date.now()) return cached.verdict;
      if (cache.size >= MOST_ENTRIES) cache.clear();
      const verdict = review(client, token, attributes);
      cache.set(key, { verdict, untilMs: Date.now() + KEEP_MS });
      const answer = await verdict;
      // No answer is not an answer: ask again next time.
      if (!answer.allowed && answer.status === 503) cache.delete(key);
      return answer;
    },
  };
}

async function review(client: ApiClient, token: string, attributes: AccessAttributes): Promise<Verdict> {
  try {
    const authentication = await post<{ authenticated?: boolean; user?: UserInfo }>(
      client,
      'authentication',
      'TokenReview',
      { token },
    );
    if (authentication === undefined) return unavailable('the API server has no TokenReview');
    const { user } = authentication;
    if (!authentication.authenticated || user === undefined)
      return { allowed: false, status: 401, message: 'the token is not known' };
    const { username, groups, uid, extra } = user;
    const resourceAttributes = { group: 'tepui.dev', version: 'v1alpha1', ...attributes };
    const access = await post<{ allowed?: boolean }>(client, 'authorization', 'SubjectAccessReview', {
      user: username,
      groups,
      uid,
      extra,
      resourceAttributes,
    });
    if (access === undefined) return unavailable('the API server has no SubjectAccessReview');
    if (access.allowed) return { allowed: true };
    const { verb, resource, subresource } = attributes;
    return { allowed: false, status: 403, message: `user "${username}" may not ${verb} ${resource}/${subresource}` };
  } catch (error) {
    return unavailable(`the API server could not be asked: ${error instanceof Error ? error.message : error}`);
  }
}

interface UserInfo {
  username?: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
}

/** The status of the review; undefined when the server does not know the kind. */
async function post<T>(client: ApiClient, group: string, kind: string, spec: object): Promise<T | undefined> {
  const apiVersion = `${group}.k8s.io/v1`;
  const path = `/apis/${apiVersion}/${kind.toLowerCase()}s`;
  const { status, body } = await client.raw(
    'POST',
    path,
    { apiVersion, kind, spec },
    { 'content-type': 'application/json' },
  );
  if (status === 404) return undefined;
  const answer = body as { status?: T; message?: string };
  if (status >= 400) throw new Error(answer.message ?? `it answered ${status}`);
  return answer.status;
}

function unavailable(message: string): Verdict {
  return { allowed: false, status: 503, message: `${message}; use the agent's Unix socket on its machine` };
}
