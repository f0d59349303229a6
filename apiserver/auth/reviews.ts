import { ApiError, badRequest } from '../http/errors.ts';
import type { KubernetesObject, ResourceDefinition, UserInfo } from '../resources/definition.ts';
import { type Authenticator, anonymous } from './tokens.ts';

/** Resources that answer a create without storing it: who am I, whose token is this, may I do that. */
export function reviewDefinitions(authenticator: Authenticator): ResourceDefinition[] {
  const authentication = 'authentication.k8s.io';
  const authorization = 'authorization.k8s.io';
  return [
    review(authentication, 'TokenReview', 'tokenreviews', false, (object) => reviewToken(object, authenticator)),
    review(authentication, 'SelfSubjectReview', 'selfsubjectreviews', false, reviewSelf),
    review(authorization, 'SelfSubjectAccessReview', 'selfsubjectaccessreviews', false, (object, user) =>
      answer(object, accessOf(user)),
    ),
    review(authorization, 'SubjectAccessReview', 'subjectaccessreviews', false, reviewSubjectAccess),
    review(authorization, 'LocalSubjectAccessReview', 'localsubjectaccessreviews', true, reviewSubjectAccess),
    review(authorization, 'SelfSubjectRulesReview', 'selfsubjectrulesreviews', false, (object, user) =>
      answer(object, rulesOf(user)),
    ),
  ];
}

/** In the embedded server every authenticated user may do everything. */
export function isAllowed(user: UserInfo): boolean {
  return user.username !== anonymous.username;
}

function reviewToken(object: KubernetesObject, authenticator: Authenticator): KubernetesObject {
  const token = specOf(object).token;
  if (typeof token !== 'string' || token === '')
    throw badRequest('spec.token is required for TokenReview in authentication');
  const user = authenticator.userOf(token);
  return answer(object, user ? { authenticated: true, user } : { user: {}, error: 'the token is not known' });
}

function reviewSelf(object: KubernetesObject, user: UserInfo): KubernetesObject {
  return answer(object, { userInfo: user });
}

function reviewSubjectAccess(object: KubernetesObject): KubernetesObject {
  const { user, groups } = specOf(object);
  if (typeof user !== 'string' && !Array.isArray(groups)) {
    throw new ApiError('Invalid', 'spec.user: Invalid value: "": at least one of user or group must be specified');
  }
  const names = Array.isArray(groups) ? groups.filter((group) => typeof group === 'string') : [];
  return answer(object, accessOf({ username: String(user ?? ''), groups: names }));
}

function accessOf(user: UserInfo): Record<string, unknown> {
  return isAllowed(user)
    ? { allowed: true, reason: 'the embedded server allows everything to authenticated users' }
    : { allowed: false };
}

function rulesOf(user: UserInfo): Record<string, unknown> {
  const all = ['*'];
  const rules = isAllowed(user) ? [{ verbs: all, apiGroups: all, resources: all }] : [];
  const paths = isAllowed(user) ? [{ verbs: all, nonResourceURLs: all }] : [];
  return { resourceRules: rules, nonResourceRules: paths, incomplete: false };
}

function answer(object: KubernetesObject, status: Record<string, unknown>): KubernetesObject {
  return { ...object, status };
}

function specOf(object: KubernetesObject): Record<string, unknown> {
  const { spec } = object;
  return typeof spec === 'object' && spec !== null ? (spec as Record<string, unknown>) : {};
}

function review(
  group: string,
  kind: string,
  plural: string,
  namespaced: boolean,
  answerOf: NonNullable<ResourceDefinition['review']>,
): ResourceDefinition {
  return {
    group,
    version: 'v1',
    plural,
    singular: kind.toLowerCase(),
    kind,
    listKind: `${kind}List`,
    namespaced,
    shortNames: [],
    categories: [],
    verbs: ['create'],
    status: false,
    selectableFields: [],
    columns: [],
    schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    strategicMergeKeys: {},
    generation: false,
    review: answerOf,
    admit: (object) => ({ object, warnings: [] }),
  };
}
