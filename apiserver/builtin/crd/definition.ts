import type { AdmissionContext, KubernetesObject, ResourceDefinition } from '../../resources/definition.ts';
import { defineBuiltin } from '../define.ts';
import { anything, boolean, integer, kind, list, listMap, object, string, time } from '../schema-builder.ts';
import { crdCauses } from './check.ts';
import { pruneKeywords } from './keywords.ts';
import { type CustomResourceDefinition, crdCleanupFinalizer } from './types.ts';

const names = object(
  {
    plural: string('The name in URLs, for example `frameworks`. Equals the first part of metadata.name.'),
    singular: string('The name for one object on the command line. Default the kind in lower case.'),
    kind: string('The kind in CamelCase, for example `Framework`.'),
    listKind: string('The kind of lists. Default the kind followed by `List`.'),
    shortNames: list({ type: 'string' }, 'Short names for the command line.', { 'x-kubernetes-list-type': 'atomic' }),
    categories: list({ type: 'string' }, 'Groups of kinds for the command line, for example `all`.', {
      'x-kubernetes-list-type': 'atomic',
    }),
  },
  'How the kind is called.',
);

const version = object(
  {
    name: string('For example v1alpha1.'),
    served: boolean('Whether this version is offered.'),
    storage: boolean('Whether objects are stored in this version; true for exactly one.'),
    deprecated: boolean('Whether clients get a warning.'),
    deprecationWarning: string('The text of that warning.'),
    schema: object({ openAPIV3Schema: anything('The structural schema of objects.') }, 'The form of objects.'),
    subresources: object(
      {
        status: anything('If set, `status` is written through its own path and ignored elsewhere.'),
        scale: object(
          {
            specReplicasPath: string('The path of the wanted replicas, for example .spec.replicas.'),
            statusReplicasPath: string('The path of the replicas that are there.'),
            labelSelectorPath: string('The path of the label selector as text.'),
          },
          'If set, the kind can be scaled.',
          { required: [] },
        ),
      },
      'Further paths of each object.',
    ),
    additionalPrinterColumns: list(
      object(
        {
          name: string('The heading.'),
          type: string('string, integer, number, boolean or date.'),
          format: string('An OpenAPI format, for example int32.'),
          description: string('What the column shows.'),
          priority: integer('0: always shown; above: only with `-o wide`.'),
          jsonPath: string('Where the value is, for example .status.state.'),
        },
        '',
      ),
      'What `kubectl get` shows beside the name.',
      { 'x-kubernetes-list-type': 'atomic' },
    ),
    selectableFields: list(
      object({ jsonPath: string('The path of the field, for example .spec.binding.agentName.') }),
      'Fields that can be used in field selectors.',
      { 'x-kubernetes-list-type': 'atomic' },
    ),
  },
  '',
  { required: ['name', 'served', 'storage'] },
);

/** CustomResourceDefinitions are ordinary objects; what makes them special is that registry/ serves what they define. */
export const crdDefinition: ResourceDefinition = defineBuiltin({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  status: true,
  generation: true,
  columns: [
    {
      name: 'Created At',
      type: 'date',
      description: 'When the definition was created.',
      cell: ({ metadata }) => metadata.creationTimestamp ?? null,
    },
  ],
  schema: kind(
    'A kind of resource that users add to this API. Its name is `<plural>.<group>`.',
    {
      spec: object(
        {
          group: string('The API group, for example tepui.dev.'),
          scope: string('Namespaced or Cluster.'),
          names,
          versions: list(version, 'The versions, in which the same objects are offered.', {
            'x-kubernetes-list-type': 'atomic',
          }),
          conversion: object(
            {
              strategy: string('Only None: versions differ in apiVersion alone.'),
              webhook: anything('Not supported.'),
            },
            'How objects are converted between versions.',
          ),
          preserveUnknownFields: boolean('Only false.'),
        },
        'What is defined.',
        { required: ['group', 'names', 'scope', 'versions'] },
      ),
      status: object(
        {
          conditions: listMap(
            ['type'],
            object(
              {
                type: string('NamesAccepted, Established or Terminating.'),
                status: string('True, False or Unknown.'),
                reason: string('One word for the cause.'),
                message: string('The cause for humans.'),
                lastTransitionTime: time('When the status last changed.'),
                observedGeneration: { type: 'integer', format: 'int64', description: 'The generation this is about.' },
              },
              '',
              { required: ['type', 'status'] },
            ),
            'Whether the kind is served, and why not.',
          ),
          acceptedNames: {
            ...names,
            description: 'The names in use. They may differ from those of the spec after a conflict.',
          },
          storedVersions: list({ type: 'string' }, 'Versions that were ever stored.', {
            'x-kubernetes-list-type': 'atomic',
          }),
          observedGeneration: { type: 'integer', format: 'int64', description: 'The generation the status is about.' },
        },
        'What is.',
      ),
    },
    { required: ['spec'] },
  ),
  pruneFurther: ({ spec }) =>
    ((spec as Partial<CustomResourceDefinition['spec']> | undefined)?.versions ?? []).flatMap?.((version, index) =>
      pruneKeywords(version?.schema?.openAPIV3Schema, `spec.versions[${index}].schema.openAPIV3Schema`),
    ) ?? [],
  prepare: fillIn,
  check: (crd, context) =>
    crdCauses(crd as CustomResourceDefinition, context.existing as CustomResourceDefinition | undefined),
});

/** Defaults that depend on other fields, and the finalizer that keeps a CRD until its objects are gone. */
function fillIn(object: KubernetesObject, { operation }: AdmissionContext): void {
  const { spec } = object as CustomResourceDefinition;
  if (typeof spec !== 'object' || spec === null) return;
  spec.conversion ??= { strategy: 'None' };
  if (typeof spec.names?.kind === 'string') {
    if (spec.names.kind !== '') {
      spec.names.singular ||= spec.names.kind.toLowerCase();
      spec.names.listKind ||= `${spec.names.kind}List`;
    }
  }
  // Kept also when a client replaces the CRD by a file that does not know it.
  if (operation !== 'create' && object.metadata.deletionTimestamp !== undefined) return;
  const finalizers = object.metadata.finalizers ?? [];
  if (!finalizers.includes(crdCleanupFinalizer)) object.metadata.finalizers = [...finalizers, crdCleanupFinalizer];
}
