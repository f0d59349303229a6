/** What is wrong with the checks of a container beyond what the schema says. */
import type { TaskContainer } from '../../crds/types.generated.ts';

/** Sentences that begin with the path of the field. */
export function checkProblems(container: TaskContainer, path: string): string[] {
  return (['healthCheck', 'readinessCheck', 'check'] as const).flatMap((field) => {
    const check = container[field];
    const kind = (['http', 'tcp', 'grpc'] as const).find((each) => check?.[each]);
    const name = kind && check?.[kind]?.portName;
    if (name === undefined) return [];
    const port = container.ports?.find((each) => each.name === name);
    const at = `${path}.${field}.${kind}.portName`;
    if (!port) return [`${at}: the container has no port "${name}"`];
    return port.protocol === 'UDP' ? [`${at}: port "${name}" is a UDP port`] : [];
  });
}
