import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buildLauncher } from '../../runtime/launcher/build.ts';
import { loadSyscallNumbers } from '../../runtime/seccomp/syscalls.ts';
import { buildProbe } from '../runtime/escape/build-probe.ts';
import { mapperProgram } from './huge-pages.ts';
import type { Outcome } from './outcome.ts';
import { sharedTool } from './shared-tools.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
/** What the tests call; there is no network in the machine to get it from later. */
const PACKAGES = [
  ...['crun', 'runc', 'containernetworking-plugins', 'iputils-ping', 'curl', 'openssl', 'attr'],
  ...['docker-registry', 'skopeo', 'umoci', 'apache2-utils', 'zstd', 'xz-utils', 'bzip2'],
].join(',');
const BUILD = {
  // Of our own, and of these packages: another one may have been built without them.
  V2VM_SCRATCH: `/tmp/tepui-v2vm-${createHash('sha256').update(PACKAGES).digest('hex').slice(0, 8)}`,
  V2VM_PKGS: PACKAGES,
  // V8 would guard its code with memory protection keys: of no use here, and one more thing that an emulated processor can get wrong.
  V2VM_QEMU: '-cpu max,pku=off',
  // Some tests need two; more make an emulated machine slower, since whatever Node compiles interrupts all of them.
  V2VM_CPUS: '2',
};
/** The machine is emulated: everything takes 6 to 20 times as long. */
const TIMEOUT_SECONDS = 4_500;

/** Runs test folders in a virtual machine whose kernel has cgroup v2 alone, on a copy of this checkout with its modules. */
export async function runInVirtualMachine(folders: string[]): Promise<Outcome> {
  const tool = sharedTool('v2vm.sh') as string;
  // There is no compiler in it: what is made of C comes along.
  await buildLauncher();
  await loadSyscallNumbers();
  await buildProbe();
  await mapperProgram();
  if (!existsSync(join(process.env.V2VM_SCRATCH ?? BUILD.V2VM_SCRATCH, 'built')))
    await output(tool, ['build'], 'inherit');
  const tests = `node_modules/.bin/node test/setup/in-virtual-machine.ts ${folders.join(' ')}`;
  // Where it is on the host: Jest's cache, which comes along, knows its files by their paths.
  const place = `mkdir -p ${ROOT} && mount --bind /mnt/share ${ROOT} && cd ${ROOT}`;
  // Where the kernel tells which AppArmor profiles are loaded: on a machine that is not made of one script, systemd mounts it.
  const inside = `mount -t securityfs securityfs /sys/kernel/security && ${place} && ${tests}`;
  const text = await output(
    tool,
    ['run', '--share', ROOT, '--timeout', String(TIMEOUT_SECONDS), '--', 'sh', '-c', inside],
    'pipe',
  );
  const line = /^OUTCOME (\{.*\})$/m.exec(text);
  if (!line) throw new Error('the virtual machine ended without a result');
  return JSON.parse(line[1] as string) as Outcome;
}

function output(command: string, args: string[], stdout: 'inherit' | 'pipe'): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', stdout === 'pipe' ? 'pipe' : 'ignore', 'inherit'],
      env: { ...BUILD, ...process.env },
    });
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      process.stdout.write(chunk);
    });
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${command} ${args[0]} ended with code ${code}`)),
    );
  });
}
