/**
 * Pulling an image from a registry and unpacking it, into an empty place: tepui's store against `skopeo copy` to an OCI layout and `umoci unpack` of that.
 * Interleaved rounds on the same registry and disk; medians and the ratio. Also what is transferred and unpacked again when everything is
 * there, and how long the thread that pulls is blocked. tepui's figure is given twice: until a container could start, and until the image is durable (the peers never sync).
 * Needs root, docker-registry, skopeo, umoci. `node bench/images.ts [--rounds N] [--mebibytes N] [--json]`.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { openImages } from '../runtime/images/index.ts';
import { buildLauncher } from '../runtime/launcher/build.ts';
import { median } from './launch/bed.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    mebibytes: { type: 'string', default: '200' },
    json: { type: 'boolean', default: false },
  },
});
const base = mkdtempSync(join(tmpdir(), 'tepui-bench-images-'));
const logger = pino({ level: 'silent' });
let worstDelayMs = 0;
const binary = await buildLauncher();
const registry = await startRegistry();
try {
  const size = await makeImage(Number(values.mebibytes));
  const peers: Record<string, (round: number) => Promise<number>> = {
    'tepui, until a container could start': (round) => pull(round, false),
    'tepui, until durable': (round) => pull(round, true),
    'skopeo copy + umoci unpack': (round) => skopeoAndUmoci(round),
    'tepui, everything is there': () => again(),
  };
  const times: Record<string, number[]> = {};
  const cpu: Record<string, number[]> = {};
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [name, pullOnce] of Object.entries(peers)) {
      times[name] ??= [];
      cpu[name] ??= [];
      const before = cpuMs();
      times[name].push(await pullOnce(round));
      cpu[name].push(cpuMs() - before);
    }
  const peer = median(times['skopeo copy + umoci unpack']!);
  const rows = Object.entries(times).map(([name, all]) => ({
    name,
    medianMs: Math.round(median(all)),
    minMs: Math.round(Math.min(...all)),
    ratio: Number((median(all) / peer).toFixed(2)),
    cpuMs: Math.round(median(cpu[name]!)),
  }));
  console.log(
    `image: ${size.files} files, ${(size.bytes / 2 ** 20).toFixed(0)} MiB in 4 gzip layers; ${values.rounds} rounds`,
  );
  console.table(rows);
  console.log(`event loop of the pulling process, worst delay of any round: ${worstDelayMs.toFixed(0)} ms`);
  if (values.json) console.log(JSON.stringify(rows));
} finally {
  registry.stop();
  rmSync(base, { recursive: true, force: true });
}

/** Of this process and its children that have ended: not the registry's. A busy machine changes it less than the time that passes. */
function cpuMs(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]) * 10, 0);
}

function storeIn(directory: string): ReturnType<typeof openImages> {
  return openImages({
    directory,
    registriesFile: registry.settings,
    binary,
    bootId: 'bench',
    diskHeadroom: () => 0,
    logger,
  });
}

async function pull(round: number, durable: boolean): Promise<number> {
  const directory = join(base, `store-${round}-${durable}`);
  const images = await storeIn(directory);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const start = performance.now();
  const reference = `${registry.host}/bench:1`;
  if (durable) await images.pull({ reference });
  else await images.provision({ reference, holder: 'bench' });
  const took = performance.now() - start;
  delay.disable();
  worstDelayMs = Math.max(worstDelayMs, delay.max / 1e6);
  await images.close();
  // What one contender left to write must not slow the next one down.
  execFileSync('sync');
  if (round > 0 || durable) rmSync(directory, { recursive: true, force: true });
  return took;
}

async function again(): Promise<number> {
  const directory = join(base, 'store-0-false');
  const images = await storeIn(directory);
  const start = performance.now();
  await images.provision({ reference: `${registry.host}/bench:1`, pullPolicy: 'Always', holder: 'bench' });
  const took = performance.now() - start;
  await images.close();
  return took;
}

async function skopeoAndUmoci(round: number): Promise<number> {
  const directory = join(base, `peer-${round}`);
  mkdirSync(directory);
  const start = performance.now();
  run(
    'skopeo',
    'copy',
    '--quiet',
    '--src-tls-verify=false',
    `docker://${registry.host}/bench:1`,
    `oci:${directory}/layout:x`,
  );
  run('umoci', 'unpack', '--image', `${directory}/layout:x`, `${directory}/bundle`);
  const took = performance.now() - start;
  execFileSync('sync');
  rmSync(directory, { recursive: true, force: true });
  return took;
}

/** Programs and documents of this machine in four layers: large and small files, links, as real images have them. */
async function makeImage(mebibytes: number): Promise<{ files: number; bytes: number }> {
  const layout = join(base, 'image');
  run('umoci', 'init', '--layout', layout);
  run('umoci', 'new', '--image', `${layout}:x`);
  const list = execFileSync(
    'sh',
    ['-c', 'find /usr/bin /usr/lib /usr/share -xdev -type f -size -4096k -printf "%s %p\\n" | sort -k2'],
    { encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  const lines = list
    .trim()
    .split('\n')
    .map((line) => [Number(line.slice(0, line.indexOf(' '))), line.slice(line.indexOf(' ') + 1)] as const);
  const total = lines.reduce((sum, [size]) => sum + size, 0);
  // Every so-manieth file, so that all kinds are there.
  const share = Math.min(1, (mebibytes * 2 ** 20) / total);
  const chosen = lines.filter((_, index) => Math.floor((index + 1) * share) > Math.floor(index * share));
  const bundle = join(base, 'bundle');
  run('umoci', 'unpack', '--image', `${layout}:x`, bundle);
  for (let layer = 0; layer < 4; layer++) {
    const names = chosen
      .filter((_, index) => Math.floor((index * 4) / chosen.length) === layer)
      .map(([, path]) => path.slice(1));
    writeFileSync(join(base, 'names'), names.join('\n'));
    execFileSync('sh', ['-c', 'tar -c -C / -T "$0" | tar -x -C "$1"', join(base, 'names'), join(bundle, 'rootfs')]);
    run('umoci', 'repack', '--refresh-bundle', '--image', `${layout}:x`, bundle);
  }
  run('skopeo', 'copy', '--quiet', '--dest-tls-verify=false', `oci:${layout}:x`, `docker://${registry.host}/bench:1`);
  rmSync(bundle, { recursive: true, force: true });
  return { files: chosen.length, bytes: chosen.reduce((sum, [size]) => sum + size, 0) };
}

async function startRegistry() {
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address() as { port: number };
      server.close(() => resolve(free));
    });
  });
  const host = `127.0.0.1:${port}`;
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(base, 'registry') } },
    http: { addr: host },
  };
  writeFileSync(join(base, 'registry.yml'), JSON.stringify(config));
  const settings = join(base, 'registries.yaml');
  writeFileSync(settings, JSON.stringify({ registries: [{ prefix: host, plainHttp: true }] }));
  const child = spawn('docker-registry', ['serve', join(base, 'registry.yml')], { stdio: 'ignore' });
  for (let tries = 0; ; tries++) {
    if (
      await fetch(`http://${host}/v2/`).then(
        () => true,
        () => false,
      )
    )
      break;
    if (tries > 500) throw new Error('docker-registry does not answer');
    await sleep(20);
  }
  return { host, settings, stop: () => child.kill('SIGKILL') };
}

function run(program: string, ...args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
