import { agent, framework, head, role, type Sample, task, volume } from './sample.ts';

export const good: Sample[] = [
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
