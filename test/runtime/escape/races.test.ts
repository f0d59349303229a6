/** Somebody swaps a directory for a link to the host's files, all the time, while the agent and the launcher work below it. */
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Task } from '../../../crds/types.generated.ts';
import { resolveMounts } from '../../../runtime/agent/tasks/mounts.ts';
import type { LaunchSpec } from '../../../runtime/containerizers/containerizer.ts';
import { openFetcher } from '../../../runtime/fetcher/index.ts';
import { nobody, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { serve } from '../fetcher/harness.ts';

const describeIf = unavailable ? describe.skip : describe;
const secret = 'precious';
const ROUNDS = 60;

describeIf(`links that come and go (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  let outside: string;
  let shared: string;
  let swapper: LaunchSpec | undefined;
  beforeAll(async () => {
    node = await startNode();
  });
  afterAll(() => node.close());
  beforeEach(() => {
    outside = mkdtempSync('/var/lib/tepui-escape-');
    // Anybody could write here: only where it is keeps it safe.
    chmodSync(outside, 0o777);
    writeFileSync(join(outside, 'file'), secret);
    chmodSync(join(outside, 'file'), 0o666);
    shared = mkdtempSync('/var/lib/tepui-escape-');
    chownSync(shared, nobody.uid, nobody.gid);
  });
  afterEach(async () => {
    if (swapper) await node.containerizer.destroy(swapper.containerId);
    swapper = undefined;
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe(secret);
    expect(existsSync(join(outside, 'owned'))).toBe(false);
    for (const directory of [outside, shared]) rmSync(directory, { recursive: true });
  });

  /** A container that swaps `sub` in the shared directory, faster than anybody looks. */
  async function startSwapping(): Promise<void> {
    const script = `cd /m; while :; do
        rm -rf sub; mkdir sub; echo mine > sub/file; : > begun; rm -rf sub; ln -s ${outside} sub
      done 2>/dev/null`;
    swapper = node.spec(
      { shell: script },
      { mounts: [{ source: shared, root: shared, target: '/m', readOnly: false }] },
    );
    await node.containerizer.launch(swapper);
    while (!existsSync(join(shared, 'begun'))) await sleep(5);
  }

  test('as the subPath of a volume: no container sees or changes the files of the host', async () => {
    await startSwapping();
    const container = { name: 'main', volumeMounts: [{ name: 'v', mountPath: '/m', subPath: 'sub' }] };
    const task = {
      metadata: { name: 't', namespace: 'n' },
      spec: { containers: [container], volumes: [{ name: 'v', volume: { volumeName: 'v' } }] },
    } as unknown as Task;
    const attempt = async () => {
      const mounts = await resolveMounts(task, container, {
        sandbox: shared,
        owner: nobody,
        volumePath: async () => shared,
        allowedHostPaths: [],
      });
      return node.run({ shell: 'cat /m/file; echo owned > /m/owned; echo owned > /m/file' }, { mounts });
    };
    let launched = 0;
    // On a busy machine the link may be there at every look for a while.
    for (let round = 0; round < ROUNDS || (launched === 0 && round < 20 * ROUNDS); round++) {
      const outcome = await attempt().catch(() => undefined); // it was a link at that moment
      if (outcome) launched++;
      expect(outcome?.stdout ?? '').not.toContain(secret);
    }
    // Or the test did not do what it is about.
    expect(launched).toBeGreaterThan(0);
  }, 120_000);

  test('as the target of a mount in the sandbox: nothing is made or mounted on the host', async () => {
    const volume = mkdtempSync('/var/lib/tepui-escape-');
    chmodSync(volume, 0o777);
    await startSwapping();
    for (let round = 0; round < ROUNDS; round++) {
      const spec = node.spec(
        { shell: 'echo owned > sub/deep/owned; true' },
        { mounts: [{ source: volume, root: volume, target: 'sub/deep', readOnly: false }], sandbox: shared },
      );
      await node.containerizer.launch(spec).catch(() => {});
      await node.containerizer.wait(spec.containerId).catch(() => {});
      await node.containerizer.destroy(spec.containerId);
    }
    expect(existsSync(join(outside, 'deep'))).toBe(false);
    rmSync(volume, { recursive: true });
  }, 120_000);

  test('as the place of a fetched file, and as the sandbox itself', async () => {
    await startSwapping();
    const directory = mkdtempSync('/var/lib/tepui-escape-');
    const fetcher = await openFetcher({ cacheDirectory: join(directory, 'cache'), download: { env: {} } });
    const server = await serve((_, response) => response.end('fetched'));
    try {
      for (let round = 0; round < ROUNDS / 2; round++) {
        const uris = [{ value: `${server.url}/owned`, outputFile: 'sub/owned' }];
        await fetcher.fetch({ uris, sandbox: shared, user: nobody }).catch(() => {});
        // As in a task group, where the sandbox of a container is a directory in that of the task.
        const inside = { sandbox: join(shared, 'sub'), sandboxRoot: shared };
        await fetcher.fetch({ uris: [{ value: `${server.url}/owned` }], ...inside, user: nobody }).catch(() => {});
      }
    } finally {
      server.close();
      await fetcher.close();
      rmSync(directory, { recursive: true });
    }
  }, 120_000);
});
