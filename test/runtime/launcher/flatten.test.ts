import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { eventually } from './harness.ts';

const suite = process.getuid?.() === 0 ? describe : describe.skip;

suite('the copy of an image', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync('/var/lib/tepui-flatten-');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** Processes that name our directory. */
  const copying = () =>
    readdirSync('/proc').filter((name) => {
      try {
        return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(`${directory}/copy`);
      } catch {
        return false;
      }
    });

  test('ends with the agent that wanted it: the next one can remove what there is', async () => {
    const [layer, copy] = [join(directory, 'layer'), join(directory, 'copy')];
    for (const path of [layer, copy]) mkdirSync(path);
    for (let number = 0; number < 200; number++) writeFileSync(join(layer, String(number)), Buffer.alloc(2 ** 20));
    const program = `
      import { flattenLayers } from ${JSON.stringify(join(process.cwd(), 'runtime/launcher/probe.ts'))};
      const [binary, layer, copy] = ${JSON.stringify([await buildLauncher(), layer, copy])};
      await flattenLayers(binary, copy, [layer]);`;
    const agent = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
    await eventually(() => existsSync(join(copy, 'root')), 'the copy');
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    await eventually(() => copying().length === 0, 'the end of the copying', 500);
    expect(readdirSync(join(copy, 'root')).length).toBeLessThan(200);
    rmSync(copy, { recursive: true });
  });
});
