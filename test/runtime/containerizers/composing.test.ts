import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Task } from '../../../crds/types.generated.ts';
import { createComposingContainerizer } from '../../../runtime/containerizers/composing/containerizer.ts';
import type { Member, MemberName } from '../../../runtime/containerizers/composing/member.ts';
import { createNativeContainerizer, type NativeOptions } from '../../../runtime/containerizers/native/containerizer.ts';
import { unsupportedFields } from '../../../runtime/containerizers/native/unsupported.ts';
import { createOciContainerizer } from '../../../runtime/containerizers/oci/containerizer.ts';
import { ociUnsupported } from '../../../runtime/containerizers/oci/unsupported.ts';
import { targets } from '../../containerizers/targets.ts';
import { eventually, startNode, type TestNode } from './harness.ts';

const problem = targets.find(({ name }) => name === 'oci with crun')!.problem;
const describeIf = problem ? describe.skip : describe;

describeIf(`composing containerizers (${problem ?? 'native and crun'})`, () => {
  let node: TestNode;
  let order: MemberName[] = ['oci', 'native'];
  const opened: string[] = [];
  let ociWasUsed = false;
  const member = (name: 'native' | 'oci', options: NativeOptions): Member => ({
    name,
    problem: () => undefined,
    unsupported: name === 'oci' ? ociUnsupported : unsupportedFields,
    hasLeftovers: () => ociWasUsed,
    describe: () => ({ name }),
    open: () => {
      opened.push(name);
      return name === 'oci'
        ? createOciContainerizer({ ...options, runtime: 'crun' })
        : createNativeContainerizer(options);
    },
  });
  beforeAll(async () => {
    node = await startNode({
      kind: {
        create: async (options) =>
          createComposingContainerizer({
            members: [
              member('native', options),
              member('oci', options),
              {
                ...member('oci', options),
                name: 'docker',
                problem: () => 'there is no engine',
                hasLeftovers: () => false,
              },
            ],
            order: () => order,
          }),
      },
    });
  });
  afterAll(async () => {
    ociWasUsed = true;
    await node?.close();
  });

  const inOci = (id: string) => node.groups(id).length === 0;

  test('what is not needed is not opened', async () => {
    order = ['native', 'oci'];
    await node.containerizer.recover([]);
    expect((await node.run({ command: ['true'] })).termination.exitCode).toBe(0);
    expect(opened).toEqual(['native']);
  });

  test('the first that supports the task runs it, and its verbs go there', async () => {
    order = ['oci', 'native'];
    const spec = node.spec({ shell: 'echo up; sleep 1000' });
    const shared = node.spec({ shell: 'echo up; sleep 1000', namespaces: { pid: 'Task' } });
    for (const one of [spec, shared]) {
      await node.containerizer.launch(one);
      await eventually(() => node.output(one).includes('up'), 'start');
    }
    expect([inOci(spec.containerId), inOci(shared.containerId)]).toEqual([true, false]);
    expect(opened).toEqual(['native', 'oci']);
    order = ['native'];
    expect((await node.containerizer.usage(spec.containerId)).memTotalBytes).toBeGreaterThan(0);
    ociWasUsed = true;
    await node.restart();
    const found = await node.containerizer.recover([spec.containerId, shared.containerId]);
    expect(found.map(({ running }) => running)).toEqual([true, true]);
    await node.containerizer.signal(spec.containerId, 15);
    expect(await node.containerizer.wait(spec.containerId)).toMatchObject({ exitCode: 143 });
    await node.containerizer.destroy(spec.containerId);
    await node.containerizer.destroy(shared.containerId);
  });

  test('a task that nobody can run is refused with everybody’s reason', () => {
    order = ['docker', 'oci'];
    const task = {
      metadata: { name: 't' },
      spec: { containers: [{ name: 'c', command: ['true'], namespaces: { pid: 'Task' } }] },
    } as unknown as Task;
    expect(node.containerizer.unsupported(task)).toEqual([
      'docker: not available: there is no engine',
      'oci: spec.containers[0].namespaces.pid: containerizer oci gives each container its own processes',
    ]);
    order = ['native'];
    expect(node.containerizer.unsupported(task)).toEqual([]);
  });

  test('a container that nobody knows is not running, and can be destroyed', async () => {
    const containerId = randomUUID();
    await expect(node.containerizer.usage(containerId)).rejects.toThrow(/is not running/);
    await node.containerizer.destroy(containerId);
    expect(await node.containerizer.wait(containerId)).toMatchObject({ lost: true });
  });
});
