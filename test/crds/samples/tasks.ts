import { head, type Sample, task } from './sample.ts';

export const badTask: Sample[] = [
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
