/** What is wrong with the uris of a container beyond what the schema says. */
import type { TaskContainer } from '../../crds/types.generated.ts';
import { FetchFailed } from './errors.ts';
import { planFetch } from './plan.ts';

/** Sentences that begin with the path of the field. */
export function fetchProblems(container: TaskContainer, path: string): string[] {
  return (container.uris ?? []).flatMap((uri, index) => {
    try {
      planFetch(uri);
      return [];
    } catch (error) {
      if (!(error instanceof FetchFailed)) throw error;
      return [`${path}.uris[${index}]: ${error.message}`];
    }
  });
}
