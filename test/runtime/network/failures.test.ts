/** What goes wrong: plug-ins that fail or hang, agents killed at any moment, restarts of the machine, lost records. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { releaseNamespaces } from '../../../runtime/launcher/hold.ts';
import { NetworkSetUpFailed } from '../../../runtime/network/index.ts';
import { cniProblem } from '../../setup/cni-plugins.ts';
import { eventually } from '../launcher/harness.ts';
import { bridgeNetwork, type CniBed, cniTask, makeCniBed, nothing } from './harness.ts';

// Plug-ins are many processes, and the machine may have much else to do.
jest.setTimeout(120_000);

const problem = cniProblem();
if (problem) console.warn(`skipped: ${problem}`);

let bed: CniBed;
beforeEach(async () => {
  if (!problem) bed = await makeCniBed();
});
afterEach(() => bed?.close());

const blue = { networks: [{ name: 'blue' }] };

/** A chain of plug-ins of the test's own. */
function chain(name: string, types: string[], change: Record<string, unknown> = {}): unknown {
  return { cniVersion: '1.0.0', name, plugins: types.map((type) => ({ type })), ...change };
}

(problem ? describe.skip : describe)('failures', () => {
  test('a plug-in that fails in the middle is told with its code and words, and the whole chain is detached', async () => {
    await bed.plugin(
      'broken',
      `[ $CNI_COMMAND = DEL ] && exit 0; echo '{"code":117,"msg":"no more dust","details":"try later"}'; exit 1`,
    );
    await bed.plugin('after', 'echo "$result"');
    await bed.configure('10.conflist', bridgeNetwork('blue', 77, { plugins: [{ type: 'broken' }, { type: 'after' }] }));
    const setUp = bed.networks.setUp(cniTask(blue), randomUUID());
    await expect(setUp).rejects.toThrow(NetworkSetUpFailed);
    await expect(setUp).rejects.toThrow('CNI plug-in "broken" failed ADD: no more dust; try later (code 117)');
    expect(await bed.calls()).toEqual(['ADD broken eth0', 'DEL after eth0', 'DEL broken eth0']);
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('when the second network fails the first is detached too', async () => {
    await bed.plugin('broken', '[ $CNI_COMMAND = DEL ] || exit 3');
    await bed.configure('10.conflist', bridgeNetwork('blue', 77));
    await bed.configure('20.conflist', chain('bad', ['broken']));
    const networks = [{ name: 'blue' }, { name: 'bad' }];
    await expect(bed.networks.setUp(cniTask({ networks }), randomUUID())).rejects.toThrow(
      /"broken" failed ADD: it exited with code 3/,
    );
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('a plug-in that hangs is killed with what it started', async () => {
    await bed.plugin('slow', '[ $CNI_COMMAND = DEL ] && exit 0; sleep 1000 & echo $! > $DIR/child; wait');
    await bed.configure('10.conflist', chain('blue', ['slow']));
    const networks = await bed.reopen({ pluginTimeoutMs: 500 });
    await expect(networks.setUp(cniTask(blue), randomUUID())).rejects.toThrow(
      '"slow" failed ADD: it did not end within 0.5 s',
    );
    const child = (await readFile(join(bed.dir, 'child'), 'utf8')).trim();
    await eventually(() => !existsSync(`/proc/${child}`), 'the child to be gone');
  });

  test('a DEL that fails keeps the record, and is repeated until it succeeds', async () => {
    const id = randomUUID();
    await bed.plugin(
      'sticky',
      `[ $CNI_COMMAND = DEL ] || { echo "$result"; exit; }; [ -e $DIR/free ] || { echo '{"code":11,"msg":"not now"}'; exit 1; }`,
    );
    await bed.configure('10.conflist', bridgeNetwork('blue', 77, { plugins: [{ type: 'sticky' }] }));
    await bed.networks.setUp(cniTask(blue), id);
    await expect(bed.networks.tearDown(id)).rejects.toThrow('"sticky" failed DEL: not now (code 11)');
    // What the others had is given back all the same.
    expect(await bed.leftovers()).toMatchObject({ records: [`${id}.json`], leases: [] });
    await bed.reopen();
    await bed.networks.recover([]);
    expect(bed.logged.splice(0)).toMatchObject([
      { containerID: id, err: { message: expect.stringContaining('not now') } },
    ]);
    await writeFile(join(bed.dir, 'free'), '');
    const record = join(bed.options.agentDirectory, 'networks', `${id}.json`);
    await eventually(() => !existsSync(record), 'the retry');
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('an agent killed between the two directories of a task leaves neither', async () => {
    const id = randomUUID();
    await bed.plugin('plain', 'echo "$result"');
    await bed.configure('10.conflist', chain('blue', ['plain']));
    await bed.networks.setUp(cniTask(blue), id);
    const directory = join(bed.options.runtimeDir, 'tasks', id, 'network');
    await rm(join(directory, 'hosts'));
    await rm(join(directory, 'hostname'));
    await rm(join(directory, 'resolv.conf'));
    await releaseNamespaces(directory);
    expect(await bed.leftovers()).toMatchObject({ records: [`${id}.json`], directories: [id] });
    await bed.reopen();
    await bed.networks.recover([]);
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('an agent killed at any moment of the set-up leaves nothing that recovery does not find', async () => {
    await bed.configure(
      '10.conflist',
      bridgeNetwork('blue', 77, {
        plugins: [{ type: 'portmap', capabilities: { portMappings: true } }, { type: 'firewall' }],
      }),
    );
    const task = cniTask(blue, {
      containers: [{ name: 'main', ports: [{ name: 'http', hostPort: 31600, containerPort: 80 }] }],
    });
    const { logger: _logger, ...options } = bed.options;
    let finished = 0;
    for (let round = 0; round < 12; round++) {
      const id = randomUUID();
      const fixture = fileURLToPath(new URL('fixtures/set-up.ts', import.meta.url));
      const agent = spawn(
        process.execPath,
        [
          '--disable-warning=ExperimentalWarning',
          fixture,
          ...[options, task, id].map((part) => (typeof part === 'string' ? part : JSON.stringify(part))),
        ],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      let output = '';
      agent.stdout.on('data', (chunk) => (output += chunk));
      await once(agent.stdout, 'data');
      if (round === 11) await eventually(() => output.includes('done'), 'the set-up');
      else await sleep(Math.random() * 600);
      agent.kill('SIGKILL');
      await once(agent, 'exit');
      if (output.includes('done')) finished += 1;
      await bed.reopen();
      if (round % 3 === 0) {
        // The agent after it goes on with the launch.
        await bed.networks.recover([id]);
        const { infos } = await bed.networks.setUp(task, id);
        expect(infos[0]?.ipAddresses?.[0]).toMatch(/^10\.77\./);
        await bed.networks.tearDown(id);
      } else await bed.networks.recover([]);
      expect(await bed.leftovers()).toEqual(nothing);
    }
    expect(finished).toBeGreaterThan(0);
    // portmap 1.1 does not recognize its own rules.
    expect(
      bed.logged.filter(({ msg }) => msg !== 'a plug-in says that the network of a running task has changed'),
    ).toEqual([]);
  }, 120_000);

  test('a plug-in that a killed agent left at work is waited for before it is undone', async () => {
    const id = randomUUID();
    await bed.plugin(
      'slow',
      '[ $CNI_COMMAND = DEL ] && { rm -f $DIR/made; exit; }; touch $DIR/begun; sleep 1; touch $DIR/made; echo "$result"',
    );
    await bed.configure('10.conflist', chain('blue', ['slow']));
    const fixture = fileURLToPath(new URL('fixtures/set-up.ts', import.meta.url));
    const { logger: _logger, ...options } = bed.options;
    const agent = spawn(process.execPath, [fixture, JSON.stringify(options), JSON.stringify(cniTask(blue)), id], {
      stdio: 'ignore',
    });
    await eventually(() => existsSync(join(bed.dir, 'begun')), 'the plug-in to begin');
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    await bed.reopen();
    await bed.networks.recover([]);
    expect(existsSync(join(bed.dir, 'made'))).toBe(false);
    await sleep(1500);
    expect(existsSync(join(bed.dir, 'made'))).toBe(false);
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('a plug-in that collects garbage for a killed agent is over before anything new is attached', async () => {
    const id = randomUUID();
    await bed.plugin(
      'modern',
      '[ $CNI_COMMAND = GC ] && [ ! -e $DIR/begun ] && { touch $DIR/begun; sleep 1; rm -f $DIR/attached; exit; }; touch $DIR/attached; echo "$result"',
    );
    await bed.configure('10.conflist', chain('blue', ['modern'], { cniVersion: '1.1.0' }));
    const program = `
      import { pino } from 'pino';
      import { openNetworks } from ${JSON.stringify(join(process.cwd(), 'runtime/network/index.ts'))};
      const networks = await openNetworks({ ...${JSON.stringify({ ...bed.options, logger: undefined })}, logger: pino({ level: 'silent' }) });
      await networks.recover([]);`;
    const agent = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
    await eventually(() => existsSync(join(bed.dir, 'begun')), 'the plug-in to begin');
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    await bed.reopen();
    await bed.networks.recover([]);
    await bed.networks.setUp(cniTask(blue), id);
    await sleep(1500);
    expect(existsSync(join(bed.dir, 'attached'))).toBe(true);
    await bed.networks.tearDown(id);
  });

  test('after a restart of the machine leases are given back, without a namespace', async () => {
    const id = randomUUID();
    await bed.configure('10.conflist', bridgeNetwork('blue', 77));
    await bed.networks.setUp(cniTask(blue), id);
    const tasks = join(bed.options.runtimeDir, 'tasks');
    await releaseNamespaces(join(tasks, id, 'network'));
    await rm(tasks, { recursive: true });
    expect((await bed.leftovers()).leases).toHaveLength(1);
    await bed.reopen();
    await bed.networks.recover([id]);
    expect((await bed.leftovers()).leases).toHaveLength(1);
    await bed.networks.tearDown(id);
    expect((await bed.leftovers()).leases).toEqual([]);
    expect((await bed.leftovers()).records).toEqual([]);
  });

  test('what was attached is detached as it was attached, whatever became of the configuration', async () => {
    const id = randomUUID();
    await bed.configure('10.conflist', bridgeNetwork('blue', 77));
    await bed.networks.setUp(cniTask(blue), id);
    await rm(join(bed.options.agentDirectory, 'cni/net.d/10.conflist'));
    await bed.networks.tearDown(id);
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('a network that speaks 1.1.0 is told at the start which attachments there are', async () => {
    const [kept, lost] = [randomUUID(), randomUUID()];
    await bed.plugin('modern', 'echo "$result"');
    await bed.configure(
      '10.conflist',
      chain('blue', ['modern'], { cniVersion: '1.0.0', cniVersions: ['1.0.0', '1.1.0'] }),
    );
    for (const id of [kept, lost]) await bed.networks.setUp(cniTask(blue), id);
    expect(JSON.parse(await readFile(join(bed.dir, 'modern.ADD'), 'utf8')).cniVersion).toBe('1.1.0');
    await rm(join(bed.options.agentDirectory, 'networks', `${lost}.json`));
    await bed.reopen();
    await bed.networks.recover([kept]);
    const told = JSON.parse(await readFile(join(bed.dir, 'modern.GC'), 'utf8'));
    expect(told).toMatchObject({
      name: 'blue',
      cniVersion: '1.1.0',
      'cni.dev/valid-attachments': [{ containerID: kept, ifname: 'eth0' }],
    });
    // A directory that others may use is not collected: we do not know their attachments.
    await rm(join(bed.dir, 'modern.GC'));
    await bed.reopen({ configDirectory: join(bed.options.agentDirectory, 'cni/net.d') });
    await bed.networks.recover([]);
    expect(existsSync(join(bed.dir, 'modern.GC'))).toBe(false);
  });

  test("plug-ins are told labels, Mesos's network_info, and only the capabilities they declare", async () => {
    await bed.plugin('plain', 'echo "$result"');
    await bed.plugin('capable', 'echo "$result"');
    await bed.configure('10.conflist', {
      cniVersion: '1.0.0',
      name: 'blue',
      plugins: [
        { type: 'plain' },
        { type: 'capable', capabilities: { portMappings: true, dns: true, ips: false }, args: { own: 1 } },
      ],
    });
    const id = randomUUID();
    const task = cniTask(
      { networks: [{ name: 'blue', labels: [{ key: 'tier', value: 'front' }] }], dns: { nameservers: ['10.0.0.2'] } },
      { containers: [{ name: 'main', ports: [{ name: 'dns', hostPort: 31053, containerPort: 53, protocol: 'UDP' }] }] },
    );
    const { infos } = await bed.networks.setUp(task, id);
    expect(infos[0]?.portMappings).toEqual([{ hostPort: 31053, containerPort: 53, protocol: 'UDP' }]);
    const [plain, capable] = await Promise.all(
      ['plain', 'capable'].map(async (name) => JSON.parse(await readFile(join(bed.dir, `${name}.ADD`), 'utf8'))),
    );
    expect(plain.runtimeConfig).toBeUndefined();
    expect(plain.prevResult).toBeUndefined();
    expect(capable.capabilities).toBeUndefined();
    expect(capable.prevResult).toMatchObject({ cniVersion: '1.0.0' });
    expect(capable.runtimeConfig).toEqual({
      portMappings: [{ hostPort: 31053, containerPort: 53, protocol: 'udp' }],
      dns: { servers: ['10.0.0.2'], searches: [], options: [] },
    });
    expect(capable.args).toMatchObject({
      own: 1,
      cni: { labels: [{ key: 'tier', value: 'front' }] },
      'org.apache.mesos': {
        network_info: {
          name: 'blue',
          labels: { labels: [{ key: 'tier', value: 'front' }] },
          port_mappings: [{ host_port: 31053, container_port: 53, protocol: 'udp' }],
        },
      },
    });
    await bed.networks.tearDown(id);
  });

  test('networks that are missing, broken or too new are told apart', async () => {
    const setUp = (name: string) => bed.networks.setUp(cniTask({ networks: [{ name }] }), randomUUID());
    await bed.configure('10.conflist', bridgeNetwork('blue', 77));
    await bed.configure('20.json', '{ "name": ');
    await bed.plugin('modern', 'echo "$result"');
    await bed.configure('30.conf', { cniVersion: '0.3.0', name: 'old', type: 'modern' });
    await bed.configure('40.conf', { cniVersion: '1.0.0', name: 'gone', type: 'not-installed' });
    await expect(setUp('green')).rejects.toThrow(
      /this agent has no network "green" \(it has: blue, gone, old; .*20\.json cannot be used: is not JSON/,
    );
    await expect(setUp('old')).rejects.toThrow(
      /network "old" has cniVersion 0\.3\.0, .*"modern" 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0/,
    );
    await expect(setUp('gone')).rejects.toThrow(/"not-installed" is in none of the directories/);
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('a set-up that is aborted stops the plug-in that is at work, and undoes what was done', async () => {
    await bed.plugin('slow', '[ $CNI_COMMAND = ADD ] || exit 0; sleep 1000');
    await bed.configure('10.conflist', bridgeNetwork('blue', 77, { plugins: [{ type: 'slow' }] }));
    const abort = new AbortController();
    const setUp = bed.networks.setUp(cniTask(blue), randomUUID(), abort.signal);
    setUp.catch(() => {});
    await eventually(async () => (await bed.calls()).includes('ADD slow eth0'), 'the plug-in to begin');
    abort.abort();
    await expect(setUp).rejects.toThrow('it was stopped');
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('a set-up that is aborted leaves nothing', async () => {
    await bed.configure('10.conflist', bridgeNetwork('blue', 77));
    await bed.configure('20.conflist', bridgeNetwork('red', 78));
    const abort = new AbortController();
    const networks = [{ name: 'blue' }, { name: 'red' }];
    const setUp = bed.networks.setUp(cniTask({ networks }), randomUUID(), abort.signal);
    abort.abort();
    await expect(setUp).rejects.toThrow('aborted');
    expect(await bed.leftovers()).toEqual(nothing);
  });
});
