/** The leaf of a delegated cgroup, in a real one: the hierarchy of cgroup v2, which hybrid machines have too, needs no controllers for it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readCgroupMounts } from '../../../runtime/cgroups/detect.ts';
import { LEAF } from '../../../runtime/rootless/delegated-cgroup.ts';

const mount = readCgroupMounts(readFileSync('/proc/self/mountinfo', 'utf8')).find(({ type }) => type === 'cgroup2');
const why = process.getuid?.() !== 0 ? 'needs root' : mount ? undefined : 'needs a cgroup v2 mount';
if (why) process.stderr.write(`the leaf of a cgroup: skipped: ${why}\n`);
const module = new URL('../../../runtime/rootless/delegated-cgroup.ts', import.meta.url).pathname;

(why ? describe.skip : describe)('the leaf of a delegated cgroup', () => {
  let group: string;
  let shell: ChildProcess;
  beforeEach(() => {
    group = mkdtempSync(join(mount!.mountPoint, 'tepui-leaf-'));
    shell = spawn('sleep', ['100'], { stdio: 'ignore' });
    writeFileSync(join(group, 'cgroup.procs'), String(shell.pid));
  });
  afterEach(async () => {
    const gone = new Promise((resolve) => shell.once('exit', resolve));
    shell.kill('SIGKILL');
    await gone;
    for (const path of [join(group, LEAF), group]) if (existsSync(path)) rmdirSync(path);
  });

  const processes = (path: string) => readFileSync(join(path, 'cgroup.procs'), 'utf8').trim().split('\n');
  /** In the group. */
  const run = (code: string) => {
    const script = `import * as leaf from '${module}'; import { readFileSync } from 'node:fs'; ${code}`;
    const node = [process.execPath, '--input-type=module', '--disable-warning=ExperimentalWarning', '-e', script];
    const enter = `echo $$ >'${group}/cgroup.procs'; exec "$@"`;
    return spawnSync('sh', ['-c', enter, 'sh', ...node], { encoding: 'utf8' });
  };

  test('takes the command and whatever else is in the cgroup', () => {
    const { stdout, stderr } = run(
      `leaf.moveToLeaf('${group}'); leaf.moveToLeaf('${group}'); console.log(readFileSync('/proc/self/cgroup', 'utf8'));`,
    );
    expect(stderr).toBe('');
    expect(/^0::(.*)$/m.exec(stdout)?.[1]).toMatch(new RegExp(`/${LEAF}$`));
    expect(processes(group)).toEqual(['']);
    expect(processes(join(group, LEAF))).toEqual([`${shell.pid}`]);
  });

  test('goes when nothing else is below the cgroup, and its processes go back', () => {
    const { stderr } = run(`leaf.moveToLeaf('${group}'); leaf.leaveLeaf('${group}'); leaf.leaveLeaf('${group}');`);
    expect(stderr).toBe('');
    expect(existsSync(join(group, LEAF))).toBe(false);
    expect(processes(group)).toEqual([`${shell.pid}`]);
  });

  test('that cannot be made is a sentence', () => {
    const { stderr, status } = run(`leaf.moveToLeaf('${group}/none/of/it');`);
    expect(status).toBe(1);
    expect(stderr).toMatch(/RootlessImpossible.*has to be without processes of its own/);
  });
});
