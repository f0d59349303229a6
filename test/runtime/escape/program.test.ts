/** The command and its working directory are looked up while the launcher's own descriptors may still be open. */
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { busyboxImage, noImages, type TestImage } from '../containerizers/image.ts';
import { buildProbe, type Options, variants } from './probe.ts';

const describeIf = unavailable ? describe.skip : describe;
const descriptors = [...Array(24).keys()].map((number) => number + 3);

const possible = variants.filter(({ image }) => !image || !noImages);

describeIf.each(possible)(
  `a command of $what cannot be a file of the host (${unavailable ?? 'root'})`,
  ({ image, part }) => {
    let node: TestNode;
    let busybox: TestImage | undefined;
    let options: Options;
    let hidden: string;
    beforeAll(async () => {
      node = await startNode();
      if (image) busybox = busyboxImage();
      options = { ...part, ...(busybox && { image: busybox }) };
      // Hidden in the container, and never in use on the host.
      hidden = mkdtempSync('/tmp/tepui-escape-');
      chmodSync(hidden, 0o755);
      copyFileSync(await buildProbe(), join(hidden, 'program'));
      chmodSync(join(hidden, 'program'), 0o755);
      writeFileSync(join(hidden, 'file'), 'precious');
    });
    afterAll(async () => {
      rmSync(hidden, { recursive: true });
      await node.close();
      busybox?.remove();
    });

    test('by the path of a descriptor of the launcher, from where its program could be overwritten (as in CVE-2024-21626)', async () => {
      const before = readFileSync(join(hidden, 'program'));
      const outcomes: string[] = [];
      for (const number of descriptors) {
        const command = [`/proc/self/fd/${number}${hidden}/program`, 'descriptors', 'self'];
        const result = await node.run({ command }, options).catch(() => undefined);
        if (result) outcomes.push(`${number}: ${result.stdout}`);
      }
      expect(outcomes).toEqual([]);
      expect(readFileSync(join(hidden, 'program')).equals(before)).toBe(true);
    });

    test('nor by that of a further command', async () => {
      const { containerId, ...spec } = node.spec({ command: ['sleep', '60'] }, options);
      await node.containerizer.launch({ containerId, ...spec });
      const outcomes: number[] = [];
      for (const number of descriptors) {
        for (const path of [`${hidden}/program`, `/../../../../..${hidden}/program`]) {
          const session = await node.containerizer
            .exec({ containerId, argv: [`/proc/self/fd/${number}${path}`, 'streams'], tty: false, stdin: false })
            .catch(() => undefined);
          if (session) outcomes.push(number);
          session?.stdout.resume();
          session?.stderr?.resume();
          await session?.exit;
        }
      }
      await node.containerizer.destroy(containerId);
      expect(outcomes).toEqual([]);
    });

    test('and its working directory is no descriptor of the launcher, and no root of another process', async () => {
      const outcomes: string[] = [];
      for (const workingDir of [
        ...descriptors.map((number) => `/proc/self/fd/${number}`),
        '/proc/1/root',
        '/proc/self/root',
        '/proc/self/cwd',
      ]) {
        const result = await node
          .run({ shell: `ls -d .${hidden} ../../../../..${hidden}`, workingDir }, options)
          .catch(() => undefined);
        if (result && result.stdout !== '') outcomes.push(workingDir);
      }
      expect(outcomes).toEqual([]);
    });
  },
);
