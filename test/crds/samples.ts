/** Documents with the errors that they must get: paths exactly, messages as a part. */

export interface Sample {
  what: string;
  document: Record<string, unknown>;
  old?: Record<string, unknown>;
  /** [path, part of the message]; none for a good document. */
  errors: [path: string, part: string][];
}

const head = (kind: string, name = 'a') => ({ apiVersion: 'tepui.dev/v1alpha1', kind, metadata: { name } });

export const task = (spec: object = {}, container: object = {}) => ({
  ...head('Task'),
  spec: { containers: [{ name: 'main', shell: 'true', ...container }], ...spec },
});
export const framework = (spec: object = {}) => ({
  ...head('Framework'),
  spec: { template: { spec: { containers: [{ name: 'main', command: ['sleep', '1'] }] } }, ...spec },
});
export const volume = (spec: object = {}) => ({ ...head('Volume'), spec: { size: '1Gi', ...spec } });
export const agent = (spec: object = {}) => ({ ...head('Agent'), spec });
export const role = (spec: object = {}) => ({ ...head('FrameworkRole'), spec });

const good: Sample[] = [
  { what: 'a minimal Task', document: task(), errors: [] },
  { what: 'a minimal Framework', document: framework(), errors: [] },
  { what: 'a minimal Volume', document: volume(), errors: [] },
  { what: 'an empty Agent', document: agent(), errors: [] },
  { what: 'an empty FrameworkRole', document: role(), errors: [] },
  {
    what: 'an External Framework',
    document: {
      ...head('Framework'),
      spec: { type: 'External', external: { roles: ['a', 'b/c'], suppressedRoles: ['a'] } },
    },
    errors: [],
  },
  {
    what: 'a Job',
    document: framework({ type: 'Job', job: { completions: 3, completionMode: 'Indexed' } }),
    errors: [],
  },
  { what: 'a Cron', document: framework({ type: 'Cron', cron: { schedule: '*/5 * * * *' }, job: {} }), errors: [] },
  {
    what: 'a Framework with volume templates',
    document: framework({
      template: {
        spec: { containers: [{ name: 'main', shell: 'true', volumeMounts: [{ name: 'data', mountPath: '/data' }] }] },
      },
      volumeTemplates: [{ name: 'data', spec: { size: '1Gi' } }],
    }),
    errors: [],
  },
  {
    what: 'quantities as integers and strings',
    document: task(
      {},
      {
        resources: {
          requests: { cpus: 2, mem: 134217728, custom: { licenses: 1 } },
          limits: { cpus: 'Infinity', mem: '1Gi' },
        },
      },
    ),
    errors: [],
  },
  {
    what: 'a Task with network and checks',
    document: task(
      { network: { mode: 'Cni', networks: [{ name: 'net' }] } },
      { healthCheck: { http: { port: 80 } }, readinessCheck: { exec: { shell: 'true' } } },
    ),
    errors: [],
  },
  {
    what: 'an Agent in full',
    document: agent({
      resources: { cpus: 4, ports: '31000-32000,80' },
      attributes: [
        { name: 'rack', text: 'a' },
        { name: 'rack', scalar: 1.5 },
      ],
      reservations: [{ name: 'r', role: 'eng', resources: { cpus: 1 } }],
      drain: {},
    }),
    errors: [],
  },
  {
    what: 'a FrameworkRole with quota',
    document: role({
      role: 'eng',
      weight: 2.5,
      quota: { guarantees: { cpus: 1 }, limits: { cpus: '1.5', mem: '1Gi' } },
    }),
    errors: [],
  },
  {
    what: 'times in a status',
    document: {
      ...task(),
      status: {
        state: 'Running',
        startTime: '2026-02-28T12:00:00Z',
        history: [{ state: 'Staging', time: '2026-02-28T12:00:00.123Z' }],
      },
    },
    errors: [],
  },
];

const badContainer: Sample[] = [
  {
    what: 'command with shell',
    document: task({}, { command: ['a'] }),
    errors: [['spec.containers[0]', 'command and shell exclude each other']],
  },
  {
    what: 'nothing to run',
    document: task({ containers: [{ name: 'a' }] }),
    errors: [['spec.containers[0]', 'nothing to run']],
  },
  {
    what: 'args with shell',
    document: task({}, { args: ['a'] }),
    errors: [['spec.containers[0]', 'args has no effect with `shell`']],
  },
  {
    what: 'two containers of one name',
    document: task({
      containers: [
        { name: 'a', shell: 'x' },
        { name: 'a', shell: 'y' },
      ],
    }),
    errors: [['spec.containers[1]', 'Duplicate value: {"name":"a"}']],
  },
  {
    what: 'no containers',
    document: task({ containers: [] }),
    errors: [['spec.containers', 'should have at least 1 items']],
  },
  {
    what: 'a container without name',
    document: task({ containers: [{ shell: 'x' }] }),
    errors: [['spec.containers[0].name', 'Required value']],
  },
  {
    what: 'a bad container name',
    document: task({ containers: [{ name: 'A b', shell: 'x' }] }),
    errors: [['spec.containers[0].name', "should match '^[a-z0-9]"]],
  },
  {
    what: '128 bytes of memory',
    document: task({}, { resources: { requests: { mem: 128 } } }),
    errors: [['spec.containers[0].resources.requests.mem', 'write 128Mi']],
  },
  {
    what: '128m of memory',
    document: task({}, { resources: { requests: { mem: '128m' } } }),
    errors: [['spec.containers[0].resources.requests.mem', 'at least 4Mi']],
  },
  {
    what: 'an impossible quantity',
    document: task({}, { resources: { requests: { mem: '12 MB' } } }),
    errors: [
      ['spec.containers[0].resources.requests.mem', "should match '"],
      ['spec.containers[0].resources.requests.mem', 'evaluating rule'],
    ],
  },
  {
    what: 'a negative quantity',
    document: task({}, { resources: { requests: { cpus: -1 } } }),
    errors: [['spec.containers[0].resources.requests.cpus', 'a number of cores']],
  },
  {
    what: 'a fraction as a number',
    document: task({}, { resources: { requests: { cpus: 0.5 } } }),
    errors: [['spec.containers[0].resources.requests.cpus', 'must be of type integer,string: "number"']],
  },
  {
    what: 'a memory amount as cpus',
    document: task({}, { resources: { requests: { cpus: '128Mi' } } }),
    errors: [['spec.containers[0].resources.requests.cpus', 'a number of cores']],
  },
  {
    what: 'a limit below the request',
    document: task({}, { resources: { requests: { mem: '1Gi', cpus: 2 }, limits: { mem: '512Mi', cpus: 1 } } }),
    errors: [
      ['spec.containers[0].resources', 'limits.cpus must be at least'],
      ['spec.containers[0].resources', 'limits.mem must be at least'],
    ],
  },
  {
    what: 'a mount of no volume',
    document: task({}, { volumeMounts: [{ name: 'x', mountPath: '/x' }] }),
    errors: [['spec', 'not in spec.volumes']],
  },
  {
    what: 'a path with ..',
    document: task(
      { volumes: [{ name: 'x', tmpfs: {} }] },
      { volumeMounts: [{ name: 'x', mountPath: '/a/../b', subPath: '..' }] },
    ),
    errors: [
      ['spec.containers[0].volumeMounts[0].mountPath', "must not contain '..'"],
      ['spec.containers[0].volumeMounts[0].subPath', "must not contain '..'"],
    ],
  },
  {
    what: 'two sources in one volume',
    document: task({ volumes: [{ name: 'x', tmpfs: {}, hostPath: { path: '/x' } }] }),
    errors: [['spec.volumes[0]', 'exactly one source']],
  },
  {
    what: 'a volume without source',
    document: task({ volumes: [{ name: 'x' }] }),
    errors: [['spec.volumes[0]', 'exactly one source']],
  },
  {
    what: 'a relative host path',
    document: task({ volumes: [{ name: 'x', hostPath: { path: 'x' } }] }),
    errors: [['spec.volumes[0].hostPath.path', "should match '^/'"]],
  },
  {
    what: 'an unknown capability',
    document: task({}, { security: { capabilities: { effective: ['CAP_CHOWN'] } } }),
    errors: [
      [
        'spec.containers[0].security.capabilities.effective[0]',
        'Unsupported value: "CAP_CHOWN": supported values: "AUDIT_CONTROL"',
      ],
    ],
  },
  {
    what: 'the same capability twice',
    document: task({}, { security: { capabilities: { bounding: ['CHOWN', 'CHOWN'] } } }),
    errors: [['spec.containers[0].security.capabilities.bounding[1]', 'Duplicate value: "CHOWN"']],
  },
  {
    what: 'a port out of range',
    document: task({}, { ports: [{ name: 'a', hostPort: 70000 }] }),
    errors: [['spec.containers[0].ports[0].hostPort', 'should be less than or equal to 65535']],
  },
  {
    what: 'a check without action',
    document: task({}, { healthCheck: {} }),
    errors: [['spec.containers[0].healthCheck', 'exactly one of `exec`']],
  },
  {
    what: 'a check of no port',
    document: task({}, { healthCheck: { http: {} } }),
    errors: [['spec.containers[0].healthCheck.http', 'either `port` or `portName`']],
  },
  {
    what: 'half a rlimit',
    document: task({}, { rlimits: [{ type: 'RLMT_CORE', soft: 1 }] }),
    errors: [['spec.containers[0].rlimits[0]', 'both `soft` and `hard`']],
  },
  {
    what: 'a rlimit with soft above hard',
    document: task({}, { rlimits: [{ type: 'RLMT_CORE', soft: 2, hard: 1 }] }),
    errors: [['spec.containers[0].rlimits[0]', 'soft must not be above hard']],
  },
  {
    what: 'a seccomp file without type',
    document: task({}, { security: { seccompProfile: { localhostProfile: 'x' } } }),
    errors: [['spec.containers[0].security.seccompProfile', 'localhostProfile is needed with']],
  },
  {
    what: 'an environment variable with two sources',
    document: task({}, { env: [{ name: 'A', value: 'x', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }),
    errors: [['spec.containers[0].env[0]', 'exclude each other']],
  },
  {
    what: 'a user with a space',
    document: task({}, { user: 'a b' }),
    errors: [['spec.containers[0].user', 'should match']],
  },
  {
    what: 'a name that is too long',
    document: task({ containers: [{ name: 'a'.repeat(64), shell: 'x' }] }),
    errors: [['spec.containers[0].name', 'Too long: may not be more than 63 bytes']],
  },
];

const badTask: Sample[] = [
  { what: 'no spec', document: head('Task'), errors: [['spec', 'Required value']] },
  {
    what: 'a wrong type',
    document: task({ containers: 'x' }),
    errors: [['spec.containers', 'must be of type array: "string"']],
  },
  {
    what: 'an unknown state',
    document: { ...task(), status: { state: 'RUNNING' } },
    errors: [['status.state', 'Unsupported value: "RUNNING"']],
  },
  {
    what: 'a time that is none',
    document: { ...task(), status: { startTime: 'yesterday' } },
    errors: [['status.startTime', 'must be of type date-time: "yesterday"']],
  },
  {
    what: 'Cni without networks',
    document: task({ network: { mode: 'Cni' } }),
    errors: [['spec', 'network.networks is needed']],
  },
  {
    what: 'networks without Cni',
    document: task({ network: { networks: [{ name: 'x' }] } }),
    errors: [['spec', 'network.networks is needed']],
  },
  {
    what: 'a constraint without value',
    document: task({ placement: { constraints: [{ field: 'rack', operator: 'Like' }] } }),
    errors: [['spec.placement.constraints[0]', 'need a `value`']],
  },
  {
    what: 'a constraint with a needless value',
    document: task({ placement: { constraints: [{ field: 'rack', operator: 'Unique', value: '1' }] } }),
    errors: [['spec.placement.constraints[0]', 'takes no `value`']],
  },
  {
    what: 'MaxPer of a word',
    document: task({ placement: { constraints: [{ field: 'rack', operator: 'MaxPer', value: 'two' }] } }),
    errors: [['spec.placement.constraints[0]', 'whole number']],
  },
  {
    what: 'In without values',
    document: task({ placement: { agentSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } } }),
    errors: [['spec.placement.agentSelector.matchExpressions[0]', 'need `values`']],
  },
  { what: 'a role with an empty part', document: task({ role: 'a//b' }), errors: [['spec.role', 'should match']] },
  {
    what: 'a changed binding',
    document: task({ binding: { agentName: 'b' } }),
    old: task({ binding: { agentName: 'a' } }),
    errors: [['spec', 'binding is written once']],
  },
  {
    what: 'a removed binding',
    document: task(),
    old: task({ binding: { agentName: 'a' } }),
    errors: [['spec', 'binding is written once']],
  },
  { what: 'a first binding', document: task({ binding: { agentName: 'a' } }), old: task(), errors: [] },
  {
    what: 'a revived task',
    document: task(),
    old: task({ desiredState: 'Killed' }),
    errors: [['spec', 'desiredState Killed is final']],
  },
  { what: 'a killed task', document: task({ desiredState: 'Killed' }), old: task(), errors: [] },
  {
    what: 'a task of another framework',
    document: task({ frameworkName: 'b' }),
    old: task({ frameworkName: 'a' }),
    errors: [['spec', 'frameworkName is immutable']],
  },
  {
    what: 'an added container',
    document: task({
      containers: [
        { name: 'a', shell: 'x' },
        { name: 'b', shell: 'x' },
      ],
    }),
    old: task({ containers: [{ name: 'a', shell: 'x' }] }),
    errors: [['spec', 'containers cannot be added']],
  },
];

const badOthers: Sample[] = [
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

export const samples: Sample[] = [...good, ...badContainer, ...badTask, ...badOthers];

/** Only checked here: the genuine server drops unknown fields with a warning, or refuses them before validation. */
export const offlineSamples: Sample[] = [
  {
    what: 'unknown fields',
    document: task({ contaners: [] }, { nmae: 'x' }),
    errors: [
      ['spec.contaners', 'unknown field'],
      ['spec.containers[0].nmae', 'unknown field'],
    ],
  },
  { what: 'an unknown kind', document: { ...task(), kind: 'Tsk' }, errors: [['kind', 'Unsupported value: "Tsk"']] },
  {
    what: 'an unknown version',
    document: { ...task(), apiVersion: 'tepui.dev/v1' },
    errors: [['apiVersion', 'supported values: "tepui.dev/v1alpha1"']],
  },
  {
    what: 'no name',
    document: { ...task(), metadata: {} },
    errors: [['metadata.name', 'name or generateName is required']],
  },
  {
    what: 'a name with capitals',
    document: { ...task(), metadata: { name: 'Web' } },
    errors: [['metadata.name', 'lower case letters']],
  },
];
