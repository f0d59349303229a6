import type { FieldCause } from '../http/errors.ts';
import type { KubernetesObject, ResourceDefinition } from '../resources/definition.ts';
import { ageColumn, defineBuiltin } from './define.ts';
import { integer, kind, microTime, object, string } from './schema-builder.ts';
import { toMicroTime } from './time-format.ts';

interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  leaseTransitions?: number;
}

export const leaseDefinition: ResourceDefinition = defineBuiltin({
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  columns: [
    {
      name: 'Holder',
      type: 'string',
      description: 'Who holds the lease.',
      cell: ({ spec }) => (spec as LeaseSpec | undefined)?.holderIdentity ?? '',
    },
    ageColumn,
  ],
  schema: kind('A claim that its holder renews: a heartbeat, or leadership.', {
    spec: object(
      {
        holderIdentity: string('Who holds the lease; empty if nobody does.'),
        leaseDurationSeconds: integer('Seconds after renewTime at which others may take the lease. Above 0.'),
        acquireTime: microTime('When the holder took the lease.'),
        renewTime: microTime('When the holder last renewed the lease.'),
        leaseTransitions: integer('How often the lease changed hands.'),
        strategy: string('How holders are chosen in coordinated leader election.'),
        preferredHolder: string('Who should take the lease next in coordinated leader election.'),
      },
      'The claim.',
    ),
  }),
  prepare: normaliseTimes,
  check: leaseCauses,
});

function normaliseTimes(object: KubernetesObject): void {
  const { spec } = object as { spec?: Record<string, unknown> };
  if (typeof spec !== 'object' || spec === null) return;
  toMicroTime(spec, 'acquireTime');
  toMicroTime(spec, 'renewTime');
}

function leaseCauses(object: KubernetesObject): FieldCause[] {
  const spec = (object.spec ?? {}) as LeaseSpec;
  const causes: FieldCause[] = [];
  if (spec.leaseDurationSeconds !== undefined && spec.leaseDurationSeconds <= 0) {
    causes.push({
      reason: 'FieldValueInvalid',
      field: 'spec.leaseDurationSeconds',
      message: `Invalid value: ${spec.leaseDurationSeconds}: must be greater than 0`,
    });
  }
  if (spec.leaseTransitions !== undefined && spec.leaseTransitions < 0) {
    causes.push({
      reason: 'FieldValueInvalid',
      field: 'spec.leaseTransitions',
      message: `Invalid value: ${spec.leaseTransitions}: must be greater than or equal to 0`,
    });
  }
  return causes;
}
