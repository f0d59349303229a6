import type { ResourceDefinition } from '../resources/definition.ts';
import { ageColumn, defineBuiltin } from './define.ts';
import { kind, list, listMap, object, string, time } from './schema-builder.ts';

/** Namespaces: no deletecollection, and a `finalize` subresource that only the garbage collector needs. */
export const namespaceDefinition: ResourceDefinition = defineBuiltin({
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
  shortNames: ['ns'],
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  status: true,
  selectableFields: ['.status.phase'],
  columns: [
    {
      name: 'Status',
      type: 'string',
      description: 'Active, or Terminating while its contents are deleted.',
      cell: ({ status }) => (status as { phase?: string } | undefined)?.phase ?? '',
    },
    ageColumn,
  ],
  schema: kind('A scope for names: objects of namespaced kinds are created in one and deleted with it.', {
    spec: object(
      {
        finalizers: list(
          { type: 'string' },
          'What must happen before the namespace is removed: `kubernetes` is taken away when it is empty.',
          { 'x-kubernetes-list-type': 'atomic' },
        ),
      },
      'What should be.',
    ),
    status: object(
      {
        phase: string('Active or Terminating.'),
        conditions: listMap(
          ['type'],
          object(
            {
              type: string('For example NamespaceContentRemaining.'),
              status: string('True, False or Unknown.'),
              reason: string('One word for the cause.'),
              message: string('The cause for humans.'),
              lastTransitionTime: time('When the status last changed.'),
            },
            '',
            { required: ['type', 'status'] },
          ),
          'What holds up the deletion, if anything.',
        ),
      },
      'What is.',
    ),
  }),
});
