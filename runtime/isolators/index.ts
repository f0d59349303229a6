/** The order of isolators. What comes first is there for all that follow; cleanup runs in reverse. */
import { appArmorIsolator } from './apparmor.ts';
import { capabilitiesIsolator } from './capabilities.ts';
import { cpuIsolator } from './cgroups/cpu.ts';
import { cpusetIsolator } from './cgroups/cpuset.ts';
import { hierarchyIsolator } from './cgroups/hierarchy.ts';
import { hugetlbIsolator } from './cgroups/hugetlb.ts';
import { ioIsolator } from './cgroups/io.ts';
import { memoryIsolator } from './cgroups/memory.ts';
import { pidsIsolator } from './cgroups/pids.ts';
import { pressureIsolator } from './cgroups/pressure.ts';
import { deviceAccessIsolator, deviceSealIsolator } from './devices.ts';
import { switchable } from './disabled.ts';
import { devIsolator } from './filesystem/dev.ts';
import { devicesIsolator } from './filesystem/devices.ts';
import { hostRootIsolator, sealedRootIsolator } from './filesystem/host-root.ts';
import { hostSecretsIsolator } from './filesystem/host-secrets.ts';
import { imageRootIsolator } from './filesystem/image-root.ts';
import { networkFilesIsolator } from './filesystem/network-files.ts';
import { procIsolator } from './filesystem/proc.ts';
import { sandboxIsolator } from './filesystem/sandbox.ts';
import { scratchIsolator } from './filesystem/scratch.ts';
import { sysIsolator } from './filesystem/sys.ts';
import { volumesIsolator } from './filesystem/volumes.ts';
import { hostnameIsolator } from './hostname.ts';
import type { Isolator, IsolatorHost } from './isolator.ts';
import { namespacesIsolator } from './namespaces.ts';
import { networkIsolator } from './network.ts';
import { networkPortsIsolator } from './network-ports.ts';
import { noNewPrivilegesIsolator } from './no-new-privileges.ts';
import { oomScoreIsolator } from './oom-score.ts';
import { rlimitsIsolator } from './rlimits.ts';
import { seccompIsolator } from './seccomp.ts';
import { terminalIsolator } from './terminal.ts';
import { umaskIsolator } from './umask.ts';
import { userIsolator } from './user.ts';
import { userNamespaceIsolator } from './user-namespace.ts';
import { workingDirectoryIsolator } from './working-directory.ts';

export function createIsolators(host: IsolatorHost): Isolator[] {
  const isolators = [
    hierarchyIsolator(host),
    deviceAccessIsolator(host),
    cpuIsolator(host),
    memoryIsolator(host),
    pidsIsolator(host),
    cpusetIsolator(host),
    ioIsolator(host),
    hugetlbIsolator(host),
    pressureIsolator(host),
    namespacesIsolator(host),
    hostRootIsolator(host),
    imageRootIsolator(host),
    hostSecretsIsolator(host),
    procIsolator(),
    sysIsolator(host),
    devIsolator(),
    devicesIsolator(),
    deviceSealIsolator(host),
    scratchIsolator(),
    networkFilesIsolator(),
    sandboxIsolator(host),
    volumesIsolator(host),
    sealedRootIsolator(),
    hostnameIsolator(),
    networkIsolator(),
    networkPortsIsolator(host),
    terminalIsolator(),
    oomScoreIsolator(),
    umaskIsolator(),
    workingDirectoryIsolator(),
    appArmorIsolator(),
    // After all that opens files, of which the container may be allowed few; before the user namespace, in which no limit can be raised.
    rlimitsIsolator(host),
    // From here on privileges are given up, those on the host first. Without no-new-privileges the filter needs them, so its place is before the user.
    userNamespaceIsolator(),
    seccompIsolator(host),
    userIsolator(),
    capabilitiesIsolator(host),
    noNewPrivilegesIsolator(),
  ];
  return isolators.map((isolator) => switchable(isolator, host));
}
