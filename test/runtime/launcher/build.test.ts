import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { buildLauncher, cachedBuild } from '../../../runtime/launcher/build.ts';
import { hasCompiler } from './harness.ts';

const compiled = hasCompiler ? test : test.skip; // needs cc

const run = promisify(execFile);
const launcher = fileURLToPath(new URL('../../../runtime/launcher', import.meta.url));

/** A copy of the launcher's sources, to be built in its own place. */
async function copySources(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tepui-build-'));
  await writeFile(join(dir, 'package.json'), '{"type":"module"}');
  await cp(launcher, join(dir, 'launcher'), {
    recursive: true,
    filter: (path) => !path.startsWith(join(launcher, 'build/')),
  });
  return join(dir, 'launcher');
}

compiled('the binary says which build and protocol it is', async () => {
  const { stdout } = await run(await buildLauncher(), ['version']);
  expect(stdout).toMatch(/^tepui-launcher [0-9a-f]{16} protocol 2\n$/);
});

compiled('an unknown role is refused with the usage', async () => {
  await expect(run(await buildLauncher(), ['dance'])).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('usage'),
  });
});

compiled(
  'changed sources are built anew, unchanged ones are not',
  async () => {
    const copy = await copySources();
    const build = async (): Promise<string> => (await run(process.execPath, [join(copy, 'build.ts')])).stdout.trim();
    try {
      const first = await build();
      expect(await build()).toBe(first);
      await writeFile(join(copy, 'src', 'launcher.h'), '/* changed */\n#include "original.h"\n');
      await cp(join(launcher, 'src', 'launcher.h'), join(copy, 'src', 'original.h'));
      const second = await build();
      expect(second).not.toBe(first);
      expect((await readdir(join(copy, 'build'))).filter((name) => name.startsWith('.'))).toEqual([]);
    } finally {
      await rm(dirname(copy), { recursive: true });
    }
  },
  120_000,
);

compiled('what a build that was killed left goes with the next one, unless it may still be going on', async () => {
  const directory = dirname(await buildLauncher());
  const [old, young] = [1, 2].map((pid) => join(directory, `.tepui-launcher-test.${pid}`)) as [string, string];
  const name = `test-${process.pid}`;
  try {
    for (const path of [old, young]) await writeFile(path, 'half');
    const longAgo = Date.now() / 1000 - 2 * 3600;
    await utimes(old, longAgo, longAgo);
    await cachedBuild(name, (output) => writeFile(output, 'whole'));
    expect([old, young].map(existsSync)).toEqual([false, true]);
  } finally {
    for (const path of [old, young, join(directory, name)]) await rm(path, { force: true });
  }
});

compiled('without a compiler the message says what to install', async () => {
  const copy = await copySources();
  try {
    const failure = run(process.execPath, [join(copy, 'build.ts')], {
      env: { ...process.env, CC: 'no-such-cc', XDG_CACHE_HOME: dirname(copy) },
    });
    await expect(failure).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/libc6-dev.*Debian.*kernel-headers/s),
    });
  } finally {
    await rm(dirname(copy), { recursive: true });
  }
});

compiled(
  "sources that do not compile are told with the compiler's words",
  async () => {
    const copy = await copySources();
    try {
      await writeFile(join(copy, 'src', 'main.c'), 'int main(void) { return nonsense; }\n');
      await expect(run(process.execPath, [join(copy, 'build.ts')])).rejects.toMatchObject({
        stderr: expect.stringContaining('nonsense'),
      });
    } finally {
      await rm(dirname(copy), { recursive: true });
    }
  },
  120_000,
);
