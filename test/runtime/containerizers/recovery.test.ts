import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { detectCgroups } from '../../../runtime/cgroups/detect.ts';
import { openCgroups } from '../../../runtime/cgroups/index.ts';
import { parseExitRecord } from '../../../runtime/launcher/exit-record.ts';
import { SLOW } from '../../setup/slow.ts';
import { eventually, startNode, type TestNode, unavailable } from './harness.ts';

const describeIf = unavailable ? describe.skip : describe;

describeIf(`recovery after the agent process ended (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode();
  });
  afterAll(() => node.close());

  const exitRecord = ({ containerId }: { containerId: string }) =>
    join(node.dataDir, 'agent/containers', `${containerId}.json`);
  const launchRecord = ({ containerId }: { containerId: string }) =>
    join(node.runtimeDir, 'launches', `${containerId}.json`);
  const records = () =>
    [join(node.dataDir, 'agent/containers'), join(node.runtimeDir, 'launches')].flatMap((directory) =>
      readdirSync(directory),
    );

  test('a running container is taken back: the same process, its end is told, and everything works on it', async () => {
    const spec = node.spec(
      { shell: "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done" },
      { resources: { requests: { cpus: 1, memBytes: 64 << 20 }, limits: { memBytes: Infinity } } },
    );
    const launched = await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('ready'), 'start');
    await node.restart();
    const recovered = await node.containerizer.recover([spec.containerId]);
    expect(recovered).toEqual([
      {
        containerId: spec.containerId,
        running: true,
        launched: expect.objectContaining({ pid: launched.pid, startTimeTicks: launched.startTimeTicks }),
      },
    ]);
    expect(Math.abs(recovered[0]!.launched!.startedAt.getTime() - launched.startedAt.getTime())).toBeLessThan(
      1500 * SLOW,
    );
    expect((await node.containerizer.usage(spec.containerId)).memTotalBytes).toBeGreaterThan(0);
    const session = await node.containerizer.exec({
      containerId: spec.containerId,
      argv: ['true'],
      tty: false,
      stdin: false,
    });
    expect(await session.exit).toEqual({ exitCode: 0 });
    await node.containerizer.signal(spec.containerId, 15);
    expect(await node.containerizer.wait(spec.containerId)).toMatchObject({ exitCode: 3 });
    await node.containerizer.destroy(spec.containerId);
    expect(node.groups(spec.containerId)).toEqual([]);
  });

  test('how a container ended meanwhile is known, also that memory ran out', async () => {
    const ended = node.spec({ shell: 'sleep 0.2; exit 42' });
    const killed = node.spec({ shell: 'sleep 0.2; exec dd if=/dev/zero of=/dev/null bs=512M count=1' });
    await node.containerizer.launch(ended);
    await node.containerizer.launch(killed);
    await node.containerizer.close();
    await eventually(
      () =>
        [ended, killed].every(
          ({ containerId }) => parseExitRecord(readFileSync(exitRecord({ containerId }), 'utf8')) !== undefined,
        ),
      'exit records',
    );
    await node.restart();
    const ids = [ended.containerId, killed.containerId];
    expect(await node.containerizer.recover(ids)).toEqual(
      expect.arrayContaining(ids.map((containerId) => ({ containerId, running: false }))),
    );
    expect(await node.containerizer.wait(ended.containerId)).toMatchObject({ exitCode: 42, oomKilled: false });
    expect(await node.containerizer.wait(killed.containerId)).toMatchObject({
      signal: 9,
      limitation: { reason: 'ContainerLimitationMemory' },
    });
    for (const id of ids) await node.containerizer.destroy(id);
    expect(records()).toEqual([]);
  });

  test('a container that the agent does not expect is removed, and so is a cgroup without a record', async () => {
    const orphan = node.spec({ command: ['sleep', '1000'] });
    await node.containerizer.launch(orphan);
    const cgroups = openCgroups(node.cgroupRoot);
    cgroups.create('stray');
    await node.restart();
    expect(await node.containerizer.recover([])).toEqual([]);
    expect([...node.groups(orphan.containerId), ...node.groups('stray'), ...records()]).toEqual([]);
  });

  test('containers that nobody expects and that end by themselves while they are removed are removed too', async () => {
    const specs = Array.from({ length: 24 }, (_, index) => node.spec({ shell: `sleep ${0.25 + index * 0.01}` }));
    await Promise.all(specs.map((spec) => node.containerizer.launch(spec)));
    await node.restart();
    expect(await node.containerizer.recover([])).toEqual([]);
    for (const { containerId } of specs) expect(node.groups(containerId)).toEqual([]);
    expect(records()).toEqual([]);
  });

  // What the kernel holds for good, as it holds what waits for a file server, can be made with the freezer of cgroup v1: SIGKILL waits there.
  const noFreezer = existsSync('/sys/fs/cgroup/freezer/tasks') ? undefined : 'no freezer of cgroup v1 here';
  (noFreezer ? test.skip : test)(
    `(${noFreezer ?? 'with a freezer'}) one that the kernel does not let end keeps no agent from its work, and is removed when it can be`,
    async () => {
      const stuck = node.spec({ command: ['sleep', '1000'] });
      const other = node.spec({ command: ['sleep', '1000'] });
      const { pid } = await node.containerizer.launch(stuck);
      await node.containerizer.launch(other);
      const freezer = mkdtempSync('/sys/fs/cgroup/freezer/tepui-test-');
      try {
        writeFileSync(join(freezer, 'cgroup.procs'), String(pid));
        writeFileSync(join(freezer, 'freezer.state'), 'FROZEN');
        await node.restart();
        expect(await node.containerizer.recover([])).toEqual([]);
        expect(node.groups(other.containerId)).toEqual([]);
        expect(node.groups(stuck.containerId)).not.toEqual([]);
        await expect(node.containerizer.removeOrphans()).rejects.toThrow(/did not end within 10 s of SIGKILL/);
        const fresh = node.spec({ command: ['true'] });
        await node.containerizer.launch(fresh);
        expect(await node.containerizer.wait(fresh.containerId)).toMatchObject({ exitCode: 0 });
        await node.containerizer.destroy(fresh.containerId);
        await node.restart();
        expect(await node.containerizer.recover([])).toEqual([]);
        writeFileSync(join(freezer, 'freezer.state'), 'THAWED');
        await eventually(() => records().length === 0, 'the end of the container');
        expect(node.groups(stuck.containerId)).toEqual([]);
        await node.containerizer.removeOrphans();
      } finally {
        writeFileSync(join(freezer, 'freezer.state'), 'THAWED');
        await eventually(() => readFileSync(join(freezer, 'cgroup.procs'), 'utf8') === '', 'an empty group');
        rmdirSync(freezer);
      }
    },
    120_000,
  );

  test('a launch that never came to run is lost, and leaves nothing once destroyed', async () => {
    const { env, ...spec } = node.spec({ command: ['true'] });
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    writeFileSync(launchRecord(spec), JSON.stringify({ bootId, spec, env }));
    openCgroups(node.cgroupRoot).create(spec.containerId);
    await node.restart();
    expect(await node.containerizer.recover([spec.containerId])).toEqual([
      { containerId: spec.containerId, running: false },
    ]);
    expect(await node.containerizer.wait(spec.containerId)).toMatchObject({ lost: true });
    await node.containerizer.destroy(spec.containerId);
    expect([...node.groups(spec.containerId), ...records()]).toEqual([]);
  });

  test('a record that was torn while it was written counts as nothing', async () => {
    const spec = node.spec({ command: ['true'] });
    writeFileSync(launchRecord(spec), '{"bootId":"x","spec":{"cont');
    writeFileSync(exitRecord(spec), ' '.repeat(512));
    await node.restart();
    expect(await node.containerizer.recover([spec.containerId])).toEqual([]);
    expect(records()).toEqual([]);
  });

  test('after a reboot, a container without an exit record is lost, and one with it is not', async () => {
    const finished = node.spec({ shell: 'exit 6' });
    const cut = node.spec({ shell: 'exit 0' });
    for (const spec of [finished, cut]) {
      await node.containerizer.launch(spec);
      await node.containerizer.wait(spec.containerId);
    }
    rmSync(exitRecord(cut));
    // /run is empty after a reboot, on most machines.
    rmSync(launchRecord(finished));
    await node.restart({ bootId: 'another' });
    await node.containerizer.recover([finished.containerId, cut.containerId]);
    expect(await node.containerizer.wait(finished.containerId)).toMatchObject({ exitCode: 6 });
    expect(await node.containerizer.wait(cut.containerId)).toMatchObject({ lost: true });
    for (const spec of [finished, cut]) await node.containerizer.destroy(spec.containerId);
    await node.restart();
    expect(records()).toEqual([]);
  });

  test('an update survives', async () => {
    const spec = node.spec({ command: ['sleep', '1000'] });
    await node.containerizer.launch(spec);
    await node.containerizer.update(spec.containerId, {
      requests: { cpus: 1, memBytes: 128 << 20 },
      limits: { cpus: 3 },
    });
    await node.restart();
    await node.containerizer.recover([spec.containerId]);
    expect(await node.containerizer.usage(spec.containerId)).toMatchObject({ cpusLimit: 3, memLimitBytes: 128 << 20 });
    await node.containerizer.destroy(spec.containerId);
  });

  test('an update that was cut short leaves the record as it was: the container goes on', async () => {
    const spec = node.spec({ command: ['sleep', '1000'] });
    await node.containerizer.launch(spec);
    const before = openSync(launchRecord(spec), 'r');
    await node.containerizer.update(spec.containerId, { ...spec.resources, limits: { cpus: 3 } });
    // The one that was in force until the new one was whole.
    expect(JSON.parse(readFileSync(before, 'utf8'))).toMatchObject({ spec: { resources: { limits: {} } } });
    closeSync(before);
    writeFileSync(`${launchRecord(spec)}.new`, '{"bootId":"x","spec":{"cont');
    await node.restart();
    expect(await node.containerizer.recover([spec.containerId])).toMatchObject([{ running: true }]);
    await node.containerizer.destroy(spec.containerId);
    expect(records()).toEqual([]);
  });

  test('an agent killed at any moment of its launches leaves nothing that recovery does not find', async () => {
    const fixture = join(import.meta.dirname, 'fixtures/launching-agent.ts');
    // A slow (emulated) machine makes fewer rounds.
    const deadline = Date.now() + 60_000 * SLOW;
    for (let round = 0; round < 12 && Date.now() < deadline; round++) {
      const child = spawn(
        process.execPath,
        [fixture, JSON.stringify({ dataDir: node.dataDir, runtimeDir: node.runtimeDir, cgroupRoot: node.cgroupRoot })],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      let complaint = '';
      child.stderr.on('data', (text) => {
        complaint += text;
      });
      await new Promise((resolve, reject) => {
        child.stdout.once('data', resolve);
        // QEMU's emulation makes Node itself crash now and then: that is a kill like any other.
        child.once('exit', (code, signal) =>
          signal ? resolve(signal) : reject(new Error(`the agent ended with ${code}: ${complaint}`)),
        );
      });
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await new Promise((resolve) => child.once('exit', resolve));
      }
      await node.restart();
      const expected = round % 2 ? records().map((name) => name.replace('.json', '')) : [];
      for (const { containerId } of await node.containerizer.recover(expected)) {
        await node.containerizer.destroy(containerId);
      }
      const { controllers } = detectCgroups();
      expect(records()).toEqual([]);
      expect(
        // What begins with `_` is no container's, but the launcher's.
        readdirSync(`${controllers.get('memory')}/${node.cgroupRoot}`, { withFileTypes: true }).filter(
          (entry) => entry.isDirectory() && !entry.name.startsWith('_'),
        ),
      ).toEqual([]);
    }
  }, 60_000);
});
