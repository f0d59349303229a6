/** Devices and GPUs of tasks, from the Agent document to the nodes in the container; CDI files that name nodes of this test's own. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Agent } from '../../../controllers/machinery/client/resources.ts';
import type { Agent as AgentDocument } from '../../../crds/types.generated.ts';
import type { RunningAgent } from '../../../runtime/agent/index.ts';
import { noContainers, type Platform, startPlatform } from './support/platform.ts';

const canMakeNodes = noContainers() === undefined;
const suite = canMakeNodes ? describe : describe.skip;

suite('devices of tasks', () => {
  let platform: Platform;
  let agent: RunningAgent;
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tepui-cdi-'));
    mkdirSync(join(directory, 'cdi'));
    mkdirSync(join(directory, 'library'));
    writeFileSync(join(directory, 'library/version'), 'library of the vendor\n');
    // Two GPUs of the kind of /dev/null and /dev/full, and a spare.
    for (const [name, minor] of Object.entries({ gpu0: 3, gpu1: 7 }))
      execFileSync('mknod', ['-m', '600', join(directory, name), 'c', '1', String(minor)]);
    const gpu = (name: string, ...nodes: string[]) => ({
      name,
      containerEdits: {
        deviceNodes: nodes.map((node) => ({ path: `/dev/acme/${node}`, hostPath: join(directory, node) })),
        env: [`ACME_${name.toUpperCase()}=yes`],
      },
    });
    writeFileSync(
      join(directory, 'cdi/acme.json'),
      JSON.stringify({
        cdiVersion: '0.6.0',
        kind: 'acme.com/gpu',
        containerEdits: {
          env: ['ACME_LIBRARY=/acme'],
          mounts: [{ hostPath: join(directory, 'library'), containerPath: '/acme', options: ['ro', 'rbind'] }],
        },
        devices: [gpu('0', 'gpu0'), gpu('1', 'gpu1'), gpu('uuid1', 'gpu1'), gpu('all', 'gpu0', 'gpu1')],
      }),
    );
    writeFileSync(
      join(directory, 'cdi/other.yaml'),
      'cdiVersion: "0.5.0"\nkind: acme.com/nic\ndevices:\n  - name: eth\n    containerEdits: { env: [NIC=eth] }\n' +
        '  - name: hooked\n    containerEdits: { hooks: [{ hookName: createContainer, path: /bin/true }] }\n',
    );
    platform = await startPlatform();
    await platform.client.create(Agent, {
      metadata: { name: platform.agentName },
      spec: {
        isolation: {
          cdiDirectories: [join(directory, 'cdi')],
          gpuKinds: ['acme.com/gpu'],
          allowedCdiDevices: ['acme.com/nic'],
          allowedDevices: ['/dev/zero'],
        },
      },
    });
    agent = await platform.startAgent();
    await agent.ready;
  }, 240_000);
  afterAll(async () => {
    await platform?.close();
    rmSync(directory, { recursive: true, force: true });
  }, 60_000);

  const output = (sandbox: string | undefined) => readFileSync(join(sandbox ?? '', 'stdout'), 'utf8').trim();
  const agentDocument = async () => (await platform.client.get(Agent, { name: platform.agentName })) as AgentDocument;
  const gpus = (count: number) => ({ resources: { requests: { gpus: count } } });
  const numberOf = (name: string) => statSync(join(directory, name)).rdev & 0xff;

  test('the agent offers whole GPUs, and says what it can do', async () => {
    const { status } = await agentDocument();
    expect(status?.capacity?.gpus).toBe('2');
    expect(status?.allocatable?.gpus).toBe('2');
    expect(status?.platform?.features).toEqual(expect.arrayContaining(['seccomp', 'cgroup-devices']));
    expect(status?.containerizers?.[0]?.isolators).toEqual(
      expect.arrayContaining(['cgroups/devices', 'linux/seccomp']),
    );
  });

  test('a task with a GPU has its node, its environment and the vendor’s files, and may open it', async () => {
    await platform.createTask('one', {
      ...gpus(1),
      shell:
        'ls /dev/acme; stat -c "%a %u" /dev/acme/*; echo x > /dev/acme/gpu0 && echo open; cat /acme/version; env | grep ^ACME | sort',
    });
    const { status } = await platform.untilEnded('one');
    expect(status?.message ?? '').toBe('');
    expect(output(status?.sandboxPath)).toBe(
      'gpu0\n660 65534\nopen\nlibrary of the vendor\nACME_0=yes\nACME_LIBRARY=/acme',
    );
  });

  test('no two tasks have the same one, also when the agent was started again; the next waits for a free one', async () => {
    const hold = { ...gpus(1), shell: 'stat -c %T /dev/acme/*; sleep 60' };
    await platform.createTask('first', hold);
    await platform.untilState('first', 'Running');
    await agent.close();
    agent = await platform.startAgent();
    await agent.ready;
    await platform.createTask('second', hold);
    const running = await Promise.all(['first', 'second'].map((name) => platform.untilState(name, 'Running')));
    const lines = async (sandbox: string | undefined) => {
      for (let attempt = 0; output(sandbox) === '' && attempt < 500; attempt++) await sleep(10);
      return Number(`0x${output(sandbox)}`);
    };
    const numbers = await Promise.all(running.map(({ status }) => lines(status?.sandboxPath)));
    expect(numbers.sort()).toEqual([numberOf('gpu0'), numberOf('gpu1')].sort());

    await platform.createTask('third', hold);
    const waiting = await platform.until('third', ({ status }) => status?.reason === 'WaitingForGpus');
    expect(waiting.status?.message).toBe('resources.requests.gpus: only 0 of the GPUs of this agent are free');
    await platform.kill('first');
    await platform.untilState('third', 'Running');
    for (const name of ['second', 'third']) await platform.kill(name);
    for (const name of ['first', 'second', 'third']) await platform.untilEnded(name);
  });

  test('a device file and a CDI device that the operator allows are there', async () => {
    await platform.createTask('named', {
      devices: [{ path: '/dev/zero', containerPath: '/dev/nought', permissions: 'r' }, { cdi: 'acme.com/nic=eth' }],
      shell: 'head -c3 /dev/nought | wc -c; (echo x > /dev/nought) 2>&1 | sed "s/.*: //"; echo $NIC',
    });
    const { status } = await platform.untilEnded('named');
    expect(output(status?.sandboxPath)).toBe('3\nPermission denied\neth');
  });

  test.each<[string, object, string]>([
    [
      'hooked',
      { devices: [{ cdi: 'acme.com/nic=hooked' }] },
      'spec.containers[0].devices: acme.com/nic=hooked: its specification',
    ],
    [
      'hooked-how',
      { devices: [{ cdi: 'acme.com/nic=hooked' }] },
      'needs hooks.createContainer, which this agent does not run',
    ],
    ['forbidden', { devices: [{ path: '/dev/full' }] }, 'this agent does not allow /dev/full'],
    ['byname', { devices: [{ cdi: 'acme.com/gpu=0' }] }, 'ask for resources.requests.gpus'],
    [
      'unconfined',
      { security: { seccompProfile: { type: 'Unconfined' } } },
      'seccompProfile.type: this agent does not allow "Unconfined"',
    ],
    [
      'capable',
      { security: { capabilities: { effective: ['SYS_ADMIN'] } } },
      'spec.containers[0].security.capabilities.effective: SYS_ADMIN is more than this agent allows',
    ],
    [
      'nice',
      { rlimits: [{ type: 'RLMT_NICE', soft: 40, hard: 40 }] },
      'spec.containers[0].rlimits[0].type: RLMT_NICE needs',
    ],
    ['privileged', { security: { privileged: true } }, 'security.privileged: this agent does not allow it'],
    [
      'armored',
      { security: { appArmorProfile: { type: 'Localhost', localhostProfile: 'tepui-none' } } },
      'security.appArmorProfile',
    ],
  ])('what cannot be had is refused by name: %s', async (name, container, message) => {
    await platform.createTask(name, { command: ['true'], ...container });
    const { status } = await platform.untilEnded(name);
    expect(status).toMatchObject({ state: 'Error', reason: 'TaskInvalid', message: expect.stringContaining(message) });
  });

  test('an isolator that the operator switched off is not used, and what needs it is refused', async () => {
    const change = (disabledIsolators: string[]) =>
      platform.client.mergePatch(Agent, { name: platform.agentName }, { spec: { isolation: { disabledIsolators } } });
    const untilAgent = async (condition: (agent: AgentDocument) => boolean) => {
      for (let attempt = 0; !condition(await agentDocument()); attempt++) {
        if (attempt > 1000) throw new Error(JSON.stringify((await agentDocument()).status?.conditions));
        await sleep(20);
      }
    };
    await change(['linux/seccomp', 'cgroups/cpuset', 'cgroups/pids', 'posix/rlimits']);
    await untilAgent(({ status }) => !status?.containerizers?.[0]?.isolators?.includes('linux/seccomp'));
    await platform.createTask('unfiltered', { shell: 'grep Seccomp: /proc/self/status | cut -f2' });
    expect(output((await platform.untilEnded('unfiltered')).status?.sandboxPath)).toBe('0');
    await platform.createTask('pinned', { command: ['true'], resources: { cpuset: '0' } });
    expect((await platform.untilEnded('pinned')).status?.message).toContain(
      'resources.cpuset: this agent does without cgroups/cpuset',
    );
    await platform.createTask('limited', {
      command: ['true'],
      pidsLimit: 9,
      rlimits: [{ type: 'RLMT_NOFILE', soft: 9, hard: 9 }],
    });
    const { message } = (await platform.untilEnded('limited')).status ?? {};
    expect(message).toContain('pidsLimit: this agent does without cgroups/pids');
    expect(message).toContain('rlimits: this agent does without posix/rlimits');
    await change(['filesystem/proc']);
    await untilAgent(({ status }) =>
      (status?.conditions ?? []).some(({ type, status: holds, message }) => {
        return type === 'Ready' && holds === 'False' && message?.includes('filesystem/proc cannot be left out');
      }),
    );
    await change([]);
    await untilAgent(({ status }) =>
      (status?.conditions ?? []).some(({ type, status: holds }) => type === 'Ready' && holds === 'True'),
    );
  });
});
