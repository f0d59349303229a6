import { badContainer } from './containers.ts';
import { good } from './good.ts';
import { badOthers } from './other-kinds.ts';
import { type Sample, task } from './sample.ts';
import { badTask } from './tasks.ts';

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
