/** What is wrong with the uris of a container beyond what the schema says. */
import type { TaskContainer } from '../../crds/types.generated.ts';
import { FetchFailed } from './errors.ts';
import { localFile } from './local.ts';
import { planFetch } from './plan.ts';

/** Sentences that begin with the path of the field. `allowedDirectories`: Agent `spec.isolation.allowedHostPaths`. */
export function fetchProblems(container: TaskContainer, path: string, allowedDirectories: readonly string[]): string[] {
  return (container.uris ?? []).flatMap((uri, index) => {
    try {
      const { url } = planFetch(uri);
      if (url.protocol === 'file:') localFile(uri.value, url, allowedDirectories);
      return [];
    } catch (error) {
      if (!(error instanceof FetchFailed)) throw error;
      return [`${path}.uris[${index}]: ${error.message}`];
    }
  });
}
