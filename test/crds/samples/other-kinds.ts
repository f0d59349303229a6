import { agent, framework, head, role, type Sample, volume } from './sample.ts';

export const badOthers: Sample[] = [
  {
    what: 'a Service without template',
    document: { ...head('Framework'), spec: {} },
    errors: [['spec', 'template is needed']],
  },
  {
    what: 'job fields in a Service',
    document: framework({ job: { completions: 2 } }),
    errors: [['spec', 'job needs type: Job']],
  },
  { what: 'a Cron without schedule', document: framework({ type: 'Cron' }), errors: [['spec', 'cron is needed with']] },
  {
    what: 'negative replicas',
    document: framework({ replicas: -1 }),
    errors: [['spec.replicas', 'Invalid value: -1: spec.replicas in body should be greater than or equal to 0']],
  },
  {
    what: 'replicas as a text',
    document: framework({ replicas: '3' }),
    errors: [['spec.replicas', 'Invalid value: "string": spec.replicas in body must be of type integer: "string"']],
  },
  {
    what: 'an unknown type',
    document: framework({ type: 'service' }),
    errors: [
      ['spec.type', 'Unsupported value: "service": supported values: "Service", "Job", "Cron", "Daemon", "External"'],
    ],
  },
  {
    what: 'a changed type',
    document: framework({ type: 'Job' }),
    old: framework(),
    errors: [['spec', 'type is immutable']],
  },
  {
    what: 'a changed role',
    document: framework({ role: 'b' }),
    old: framework({ role: 'a' }),
    errors: [['spec', 'role is immutable']],
  },
  {
    what: 'changed completions',
    document: framework({ type: 'Job', job: { completions: 2 } }),
    old: framework({ type: 'Job', job: { completions: 1 } }),
    errors: [['spec', 'completions and completionMode']],
  },
  {
    what: 'a Framework with a long name',
    document: { ...framework(), metadata: { name: 'a'.repeat(53) } },
    errors: [['<nil>', 'longer than 52 characters']],
  },
  {
    what: 'a backoff that shrinks',
    document: framework({ backoff: { initialSeconds: 10, maxSeconds: 1 } }),
    errors: [['spec.backoff', 'maxSeconds must be at least']],
  },
  {
    what: 'expunging before replacing',
    document: framework({ unreachableStrategy: { inactiveAfterSeconds: 10, expungeAfterSeconds: 5 } }),
    errors: [['spec.unreachableStrategy', 'expungeAfterSeconds must be']],
  },
  {
    what: 'a health capacity above 1',
    document: framework({ updateStrategy: { minimumHealthCapacity: 1.5 } }),
    errors: [['spec.updateStrategy.minimumHealthCapacity', 'should be less than or equal to 1']],
  },
  {
    what: 'a mount of no template',
    document: framework({
      template: { spec: { containers: [{ name: 'm', shell: 'x', volumeMounts: [{ name: 'x', mountPath: 'x' }] }] } },
    }),
    errors: [['spec', 'neither in template.spec.volumes']],
  },
  {
    what: 'a wrong container in a template',
    document: framework({ template: { spec: { containers: [{ name: 'm' }] } } }),
    errors: [['spec.template.spec.containers[0]', 'nothing to run']],
  },
  {
    what: 'a Volume without size',
    document: { ...head('Volume'), spec: {} },
    errors: [['spec.size', 'Required value']],
  },
  { what: 'a Volume of 10 bytes', document: volume({ size: 10 }), errors: [['spec.size', 'write 10Gi']] },
  {
    what: 'a persistence id that leaves the directory',
    document: volume({ persistenceId: '../x' }),
    errors: [['spec.persistenceId', 'should match']],
  },
  {
    what: 'a changed persistence id',
    document: volume({ persistenceId: 'b' }),
    old: volume({ persistenceId: 'a' }),
    errors: [['spec', 'persistenceId is immutable']],
  },
  {
    what: 'a named Root disk',
    document: volume({ disk: { name: 'ssd' } }),
    errors: [['spec.disk', 'a Root disk has no name']],
  },
  {
    what: 'a changed access',
    document: volume({ access: 'Shared' }),
    old: volume(),
    errors: [['spec', 'access is immutable']],
  },
  { what: 'a grown Volume', document: volume({ size: '2Gi' }), old: volume(), errors: [] },
  {
    what: 'an Agent taken back',
    document: agent({ gone: false }),
    old: agent({ gone: true }),
    errors: [['spec', 'gone cannot be taken back']],
  },
  {
    what: 'an attribute with two values',
    document: agent({ attributes: [{ name: 'a', text: 'x', scalar: 1 }] }),
    errors: [['spec.attributes[0]', 'exactly one of `text`']],
  },
  {
    what: 'a reservation for *',
    document: agent({ reservations: [{ name: 'r', role: '*', resources: {} }] }),
    errors: [['spec.reservations[0]', 'nothing can be reserved']],
  },
  {
    what: 'ports that are no ranges',
    document: agent({ resources: { ports: '[1-2]' } }),
    errors: [['spec.resources.ports', 'should match']],
  },
  {
    what: 'a quota limit below the guarantee',
    document: role({ quota: { guarantees: { mem: '2Gi' }, limits: { mem: '1Gi' } } }),
    errors: [['spec.quota', 'limits must be at least guarantees']],
  },
  {
    what: 'a quota of a child role',
    document: role({ role: 'a/b', quota: { limits: { cpus: 1 } } }),
    errors: [['spec', 'top-level roles only']],
  },
  {
    what: 'a weight of zero',
    document: role({ weight: 0 }),
    errors: [['spec.weight', 'should be greater than 0']],
  },
];
