/** The document of a one-off task. */
import type { Task } from '../../crds/types.generated.ts';
import type { ConnectionOptions } from '../connection.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';

export interface RunOptions extends ConnectionOptions {
  namespace: string;
  name?: string;
  cpus: string;
  mem: string;
  cpuLimit?: string;
  memLimit?: string;
  user?: string;
  env: string[];
  agent?: string;
  selector: string[];
  shell?: boolean;
  keep?: boolean;
  rm?: boolean;
  detach?: boolean;
  image?: string;
  stdin?: boolean;
  tty?: boolean;
  detachKeys: string;
}

/** Throws a CliError that names the option. */
export function taskOf(name: string, argv: string[], options: RunOptions): Task {
  const env = options.env.map((entry) => {
    const at = entry.indexOf('=');
    if (at < 1) throw new CliError(`--env: "${entry}" is not NAME=VALUE`, EXIT_CODES.usage.code);
    return { name: entry.slice(0, at), value: entry.slice(at + 1) };
  });
  const labels = options.selector.map((entry) => {
    const at = entry.indexOf('=');
    if (at < 1) throw new CliError(`--selector: "${entry}" is not key=value`, EXIT_CODES.usage.code);
    return [entry.slice(0, at), entry.slice(at + 1)] as const;
  });
  const limits = {
    ...(options.cpuLimit ? { cpus: options.cpuLimit } : {}),
    ...(options.memLimit ? { mem: options.memLimit } : {}),
  };
  const placement = {
    ...(options.agent ? { agentName: options.agent } : {}),
    ...(labels.length > 0 ? { agentSelector: { matchLabels: Object.fromEntries(labels) } } : {}),
  };
  return {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Task',
    metadata: { name, namespace: options.namespace, labels: { 'app.kubernetes.io/managed-by': 'tepui-run' } },
    spec: {
      ...(options.user ? { user: options.user } : {}),
      ...(Object.keys(placement).length > 0 ? { placement } : {}),
      containers: [
        {
          name: 'main',
          ...(options.image ? { image: options.image } : {}),
          ...(options.tty ? { tty: true } : {}),
          ...(options.stdin ? { stdin: true } : {}),
          ...(options.shell ? { shell: argv.join(' ') } : { command: argv }),
          ...(env.length > 0 ? { env } : {}),
          resources: {
            requests: { cpus: options.cpus, mem: options.mem },
            ...(Object.keys(limits).length > 0 ? { limits } : {}),
          },
        },
      ],
    },
  };
}
