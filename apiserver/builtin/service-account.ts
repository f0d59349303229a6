import type { KubernetesObject, ResourceDefinition } from '../resources/definition.ts';
import { ageColumn, defineBuiltin } from './define.ts';
import { boolean, kind, mergedList, object, string } from './schema-builder.ts';

export const serviceAccountDefinition: ResourceDefinition = defineBuiltin({
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  shortNames: ['sa'],
  columns: [
    {
      name: 'Secrets',
      type: 'string',
      description: 'How many secrets the account names.',
      cell: ({ secrets }) => (Array.isArray(secrets) ? secrets.length : 0),
    },
    ageColumn,
  ],
  schema: kind('An identity for programs that talk to this API.', {
    secrets: mergedList(
      'name',
      object(
        {
          apiVersion: string('The API version of the secret.'),
          kind: string('Secret.'),
          name: string('The name of the secret.'),
          namespace: string('The namespace of the secret.'),
          uid: string('The uid of the secret.'),
          resourceVersion: string('The version of the secret that is meant.'),
          fieldPath: string('A part of the secret.'),
        },
        '',
        { required: ['name'] },
      ),
      'Secrets of this namespace that programs of this account may use. Only the name is kept.',
    ),
    imagePullSecrets: mergedList(
      'name',
      object({ name: string('The name of the secret.') }),
      'Secrets for pulling container images for programs of this account.',
    ),
    automountServiceAccountToken: boolean('Whether programs of this account get a token mounted.'),
  }),
  prepare: keepSecretNames,
});

/** References lead to secrets of the same namespace only, so that all but the name could only be wrong. */
function keepSecretNames(object: KubernetesObject): void {
  if (!Array.isArray(object.secrets)) return;
  object.secrets = object.secrets.map((secret: unknown) =>
    typeof secret === 'object' && secret !== null ? { name: (secret as { name?: unknown }).name } : secret,
  );
}
