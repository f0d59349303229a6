import { expect, test } from '@jest/globals';
import type { Task, TaskSpec } from '../../../crds/types.generated.ts';
import { describeOci, ociUnsupported } from '../../../runtime/containerizers/oci/unsupported.ts';

const task = (spec: Partial<TaskSpec>) =>
  ({ metadata: { name: 't' }, spec: { containers: [{ name: 'a', command: ['true'] }], ...spec } }) as unknown as Task;

test('a plain task is taken; groups and what needs the native launcher are refused by field', () => {
  expect(ociUnsupported(task({}))).toEqual([]);
  const two = [
    { name: 'a', command: ['true'], resources: { exclusiveCpus: true } },
    { name: 'b', command: ['true'] },
  ];
  expect(
    ociUnsupported(task({ containers: two, initContainers: [{ name: 'c', command: ['true'] }] } as never)),
  ).toEqual([
    expect.stringMatching(/^spec\.containers: containerizer oci runs tasks of one container/),
    expect.stringMatching(/^spec\.initContainers: containerizer oci runs tasks of one container/),
    expect.stringMatching(/^spec\.containers\[0\]\.resources\.exclusiveCpus: /),
  ]);
});

test('what it refuses is shown', () => {
  const { name, version, unsupported } = describeOci({ path: '/usr/bin/crun', name: 'crun', version: '1.8' });
  expect([name, version]).toEqual(['oci', 'crun 1.8']);
  expect(unsupported).toEqual(
    expect.arrayContaining(['spec.containers', 'spec.initContainers', 'spec.containers[].resources.exclusiveCpus']),
  );
});
