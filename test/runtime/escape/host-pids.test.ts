/**
 * With the pid namespace of the host, where the agent allows it: its processes are seen, and those of root stay closed. Root without user ids of
 * its own may still signal them, which is what the permission of the agent is for.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { variants } from './probe.ts';

const describeIf = unavailable ? describe.skip : describe;
const withoutImage = variants.filter(({ image }) => !image);

describeIf.each(withoutImage)(
  `a container of $what among the processes of the host (${unavailable ?? 'root'})`,
  ({ part }) => {
    let node: TestNode;
    beforeAll(async () => {
      node = await startNode();
      node.isolation.allowHostNamespaces = true;
    });
    afterAll(() => node.close());

    const script = `
    for pid in 1 ${process.pid}; do
      [ -e /proc/$pid/status ] && echo "seen"
      for f in environ maps mem auxv stack; do ( head -c1 /proc/$pid/$f | grep -q . ) 2>/dev/null && echo "read $pid/$f"; done
      ls /proc/$pid/root/ /proc/$pid/cwd/ 2>/dev/null | grep -q . && echo "looked into $pid"
      readlink /proc/$pid/exe /proc/$pid/fd/* /proc/$pid/map_files/* 2>/dev/null | grep -q . && echo "saw files of $pid"
      for n in mnt net pid user; do readlink /proc/$pid/ns/$n >/dev/null 2>&1 && echo "namespace $pid/$n"; done
      { true >> /proc/$pid/mem; } 2>/dev/null && echo "opened $pid/mem"
    done; true`;

    test('reads no memory, environment or files of the agent or of pid 1', async () => {
      const spec = node.spec({ shell: script, namespaces: { pid: 'Host' } }, part);
      await node.containerizer.launch(spec);
      await node.containerizer.wait(spec.containerId);
      const lines = node.output(spec).trim().split('\n');
      await node.containerizer.destroy(spec.containerId);
      expect(lines).toEqual(['seen', 'seen']);
    });
  },
);
