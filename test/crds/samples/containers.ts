import { type Sample, task } from './sample.ts';

export const badContainer: Sample[] = [
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
