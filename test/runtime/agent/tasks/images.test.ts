import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Agent } from '../../../../controllers/machinery/client/resources.ts';
import type { Task as TaskDocument } from '../../../../crds/types.generated.ts';
import { makeImage, manifestDigest, noBusybox } from '../support/oci-layout.ts';
import { noContainers, type Platform, startPlatformWithAgent } from '../support/platform.ts';

const suite = (noContainers() ?? noBusybox) === undefined ? describe : describe.skip;

suite('a task with an image', () => {
  let platform: Platform;
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tepui-task-images-'));
    ({ platform } = await startPlatformWithAgent());
    await platform.client.mergePatch(
      Agent,
      { name: platform.agentName },
      { spec: { isolation: { allowedHostPaths: [directory] } } },
    );
  }, 90_000);
  afterAll(async () => {
    await platform?.close();
    rmSync(directory, { recursive: true, force: true });
  }, 60_000);

  const output = (task: TaskDocument) => readFileSync(join(task.status?.sandboxPath ?? '', 'stdout'), 'utf8');
  const run = async (name: string, container: object, spec = {}) => {
    await platform.createTask(name, container, spec);
    return platform.untilEnded(name);
  };

  test('follows the configuration of the image, and the document wins', async () => {
    const image = makeImage(
      join(directory, 'configured'),
      {
        Entrypoint: ['/bin/sh', '-c'],
        Cmd: ['pwd; id -u; echo "$COLOR $SIZE $HOME"'],
        Env: ['COLOR=red', 'SIZE=large', 'PATH=/bin'],
        WorkingDir: '/etc',
        User: 'app',
      },
      { 'etc/passwd': 'root:x:0:0::/root:/bin/sh\napp:x:1234:1234::/home/app:/bin/sh\n', 'etc/group': 'app:x:1234:\n' },
    );
    const plain = await run('configured', { image });
    expect(plain.status).toMatchObject({ state: 'Finished' });
    expect(output(plain)).toBe('/etc\n1234\nred large /home/app\n');
    expect(plain.status?.containers?.[0]?.image).toBe(`${image}@${manifestDigest(image)}`);
    expect(plain.status?.history?.map(({ state }) => state)).toEqual(['Starting', 'Running', 'Finished']);
    const changed = await run('changed', {
      image,
      args: ['pwd; id -u; echo $COLOR; echo $TEPUI_SANDBOX'],
      workingDir: '/tmp',
      user: '77',
      env: [{ name: 'COLOR', value: 'blue' }],
    });
    expect(output(changed)).toBe('/tmp\n77\nblue\n/mnt/tepui/sandbox\n');
  });

  test('without a user in document and image runs as the default user of the agent', async () => {
    const image = makeImage(join(directory, 'plain'));
    const task = await run('default-user', { image, command: ['/bin/id', '-u'] });
    expect(output(task)).toBe('65534\n');
  });

  test('gets the stop signal of its image', async () => {
    const image = makeImage(join(directory, 'stops'), {
      StopSignal: 'SIGUSR1',
      Cmd: ['/bin/sh', '-c', 'trap "echo usr1; exit 0" USR1; while :; do sleep 0.05; done'],
    });
    await platform.createTask('stops', { image }, { killPolicy: { gracePeriodSeconds: 20 } });
    await platform.untilState('stops', 'Running');
    await new Promise((resolve) => setTimeout(resolve, 200));
    await platform.kill('stops');
    expect(output(await platform.untilEnded('stops'))).toBe('usr1\n');
  });

  test('mounts an image as a volume', async () => {
    const image = makeImage(join(directory, 'volume'), {}, { 'etc/data': 'from the image\n' });
    const task = await run(
      'mounts-image',
      { shell: 'cat models/etc/data', volumeMounts: [{ name: 'models', mountPath: 'models', readOnly: true }] },
      { volumes: [{ name: 'models', image: { reference: image } }] },
    );
    expect([task.status?.message, output(task)]).toEqual([undefined, 'from the image\n']);
  });

  const failed = { state: 'Failed', reason: 'ContainerLaunchFailed' };
  const invalid = { state: 'Error', reason: 'TaskInvalid' };
  test.each<[string, object, object, string]>([
    ['is not there', { image: 'oci:DIR/nowhere' }, failed, 'nowhere'],
    ['must not be read', { image: 'oci:DIR-elsewhere' }, invalid, 'allowedHostPaths'],
    ['has no name of one', { image: 'team/App' }, invalid, 'is no image reference'],
    ['is never to be pulled', { image: 'localhost:1/x:y', imagePullPolicy: 'Never' }, failed, 'localhost:1/x:y'],
  ])('ends with the reason for it when the image %s', async (name, container, outcome, message) => {
    makeImage(`${directory}-elsewhere`);
    const { image, ...others } = container as { image: string };
    const task = await run(`bad-${name.replaceAll(' ', '-')}`, {
      ...others,
      image: image.replace('DIR', directory),
      command: ['true'],
    });
    rmSync(`${directory}-elsewhere`, { recursive: true });
    expect(task.status).toMatchObject(outcome);
    expect(task.status?.message).toContain(message);
  });

  test('fails when its pull secret does not exist, and says which field named it', async () => {
    const image = makeImage(join(directory, 'secret'));
    const task = await run('no-pull-secret', { image, command: ['true'] }, { imagePullSecrets: [{ name: 'nosuch' }] });
    expect(task.status).toMatchObject({ state: 'Failed', reason: 'ContainerLaunchFailed' });
    expect(task.status?.message).toContain('spec.imagePullSecrets[0]');
  });
});
