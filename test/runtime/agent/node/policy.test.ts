import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Agent } from '../../../../controllers/machinery/client/resources.ts';
import { noContainers, type Platform, startPlatform } from '../support/platform.ts';

const suite = noContainers() === undefined ? describe : describe.skip;

suite("the operator's policy", () => {
  let platform: Platform;
  let directory: string;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tepui-policy-'));
    platform = await startPlatform();
  }, 60_000);
  afterEach(async () => {
    await platform?.close();
    rmSync(directory, { recursive: true, force: true });
  }, 60_000);

  test('holds for the tasks that are created after it was changed, whichever watch is first', async () => {
    for (let round = 0; round < 5; round++) {
      const agent = await platform.startAgent();
      const { name } = agent;
      await agent.ready;
      await platform.client.mergePatch(Agent, { name }, { spec: { isolation: { allowedHostPaths: [directory] } } });
      const task = `allowed-${round}`;
      await platform.createTask(
        task,
        { shell: 'test -d shared', volumeMounts: [{ name: 'shared', mountPath: 'shared' }] },
        { volumes: [{ name: 'shared', hostPath: { path: directory } }] },
      );
      const { status } = await platform.untilEnded(task);
      expect([status?.state, status?.message]).toEqual(['Finished', undefined]);
      await platform.client.mergePatch(Agent, { name }, { spec: { isolation: { allowedHostPaths: [] } } });
      await agent.close();
    }
  });

  test('is read again before a task is refused, and only then is it refused', async () => {
    await (await platform.startAgent()).ready;
    await platform.createTask(
      'forbidden',
      { shell: 'true' },
      { volumes: [{ name: 'etc', hostPath: { path: '/etc' } }] },
    );
    expect((await platform.untilEnded('forbidden')).status).toMatchObject({
      state: 'Error',
      reason: 'TaskInvalid',
      message: expect.stringContaining('this agent does not allow /etc (Agent spec.isolation.allowedHostPaths)'),
    });
  });
});
