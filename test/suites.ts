import { existsSync } from 'node:fs';
import { withGenuineApiServer } from './setup/genuine-apiserver.ts';
import { runJest } from './setup/jest.ts';
import { kubectlProblem } from './setup/kubectl.ts';
import type { Outcome } from './setup/outcome.ts';
import { sharedTool } from './setup/shared-tools.ts';
import { runInVirtualMachine } from './setup/virtual-machine.ts';

export interface Suite {
  name: string;
  about: string;
  /** Why it cannot run here; undefined when it can. May install what is missing. */
  unavailable(): Promise<string | undefined>;
  run(): Promise<Outcome>;
}

/**
 * Everything that makes a cgroup or meets its limits, in every containerizer and in whole agents, with root and without, and what needs a kernel with project
 * quota. The machine is emulated, 5 to 20 times as slow. So these run here only: what knows nothing of cgroups (images, networks, fetching, streams and
 * terminals, checks' timing, records, races on paths and deep trees), and of agents what starts them again and again.
 */
const ON_CGROUP_V2 = [
  'test/runtime/cgroups',
  'test/runtime/resources',
  ...['confined', 'crash', 'devices', 'exec', 'groups', 'launch', 'replace'].map(
    (name) => `test/runtime/launcher/${name}.test.ts`,
  ),
  ...['fields', 'group', 'lifecycle', 'limits', 'oci-bundles', 'recovery'].map(
    (name) => `test/runtime/containerizers/${name}.test.ts`,
  ),
  'test/runtime/isolators',
  ...['devices', 'files', 'host-pids', 'hostile-image', 'kernel', 'outside', 'processes'].map(
    (name) => `test/runtime/escape/${name}.test.ts`,
  ),
  ...['projects', 'setuid', 'user-namespace'].map((name) => `test/runtime/escape/${name}.test.ts`),
  'test/runtime/disk',
  'test/runtime/checks/containers.test.ts',
  ...['disk-limits', 'tasks/groups', 'tasks/lifecycle'].map((name) => `test/runtime/agent/${name}.test.ts`),
  'test/runtime/rootless',
  'test/containerizers',
  'test/e2e/rootless.test.ts',
];

/** Every suite, cheap ones first. */
export const SUITES: Suite[] = [
  {
    name: 'unit',
    about: 'documents, controllers, command line and manifests',
    unavailable: async () => undefined,
    run: () => runJest(['test/crds', 'test/controllers', 'test/cli', 'test/manifests']),
  },
  {
    name: 'apiserver',
    about: 'the embedded API server, through raw HTTP, client-node and the real kubectl',
    unavailable: kubectlProblem,
    run: () => runJest(['test/apiserver']),
  },
  {
    name: 'runtime',
    about: 'the node, with real cgroups and namespaces; the conformance suite over every containerizer',
    unavailable: async () => notRoot() ?? noCompiler(),
    run: () => runJest(['test/runtime', 'test/containerizers'], ['--runInBand']),
  },
  {
    name: 'e2e',
    about: 'whole systems: the demo, kubectl on every kind, bad input, crashes',
    unavailable: async () => notRoot() ?? noCompiler() ?? (await kubectlProblem()),
    run: () => runJest(['test/e2e'], ['--runInBand']),
  },
  {
    name: 'chaos',
    about: 'a thousand containers of every kind, ended and killed with their agent: nothing is left of them',
    unavailable: async () => notRoot() ?? noCompiler(),
    run: () => runJest(['test/chaos'], ['--runInBand']),
  },
  {
    name: 'kubernetes',
    about:
      'the same controllers and agent against a genuine Kubernetes API server ($KUBECONFIG, or one that is built here)',
    unavailable: async () =>
      notRoot() ??
      (process.env.TEPUI_TEST_KUBECONFIG || process.env.KUBECONFIG || sharedTool('real-apiserver.sh')
        ? undefined
        : 'no KUBECONFIG names a cluster, and no tool to build an API server is here'),
    run: () => withGenuineApiServer((env) => runJest(['test/kubernetes'], ['--runInBand'], env)),
  },
  {
    name: 'cgroup-v2',
    about:
      'the node and the whole conformance suite again in a virtual machine that has cgroup v2 alone; disk quota; agents without root',
    unavailable: async () => notRoot() ?? noVirtualMachine(),
    run: () => runInVirtualMachine(ON_CGROUP_V2),
  },
];

function notRoot(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'needs root, to start containers';
}

function noVirtualMachine(): string | undefined {
  return sharedTool('v2vm.sh') ? undefined : 'the tool that boots a virtual machine is not here';
}

function noCompiler(): string | undefined {
  const found = (process.env.PATH ?? '').split(':').some((directory) => existsSync(`${directory}/cc`));
  return found
    ? undefined
    : 'needs a C compiler for the launcher: install gcc and libc6-dev (Debian) or gcc and glibc-devel (Fedora)';
}
