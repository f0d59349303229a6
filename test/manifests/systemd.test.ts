import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('../..', import.meta.url));
const directory = join(root, 'manifests/systemd');
const units = readdirSync(directory).filter((name) => name.endsWith('.service'));
const analyzer = spawnSync('systemd-analyze', ['--version']).status === 0;
const verified = analyzer ? test : test.skip;

describe.each(units)('%s', (name) => {
  const text = readFileSync(join(directory, name), 'utf8');

  test('leaves tasks and their cgroups alone when it is stopped', () => {
    expect(text).toMatch(/^KillMode=process$/m);
    expect(text).toMatch(/^Delegate=yes$/m);
  });

  test('starts a command that there is, with options that it has', () => {
    const [, command, options] = /^ExecStart=\S+\/cli\/tepui (\w+)(.*)$/m.exec(text)!;
    const help = execFileSync(join(root, 'cli/tepui'), [command!, '--help']).toString();
    for (const option of options!.match(/--[a-z-]+/g) ?? []) expect(help).toContain(option);
  });

  verified(`is taken by systemd (${analyzer ? 'systemd-analyze verify' : 'needs systemd-analyze'})`, () => {
    const scratch = mkdtempSync(join(tmpdir(), 'tepui-units-'));
    try {
      const path = join(scratch, name);
      writeFileSync(path, text.replace('/opt/tepui', root.replace(/\/$/, '')));
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
      expect(stderr.split('\n').filter((line) => line.includes(name))).toEqual([]);
      expect(status).toBe(0);
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });
});
