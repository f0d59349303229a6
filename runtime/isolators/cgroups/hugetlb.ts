/** Huge pages: most bytes in pages of each size that the document names. Sizes that it does not name are not limited. */
import type { HugepageLimit } from '../../../crds/types.generated.ts';
import { hugePageSizes, limitHugePages } from '../../cgroups/hugetlb.ts';
import { parseWhole } from '../../resources/quantity.ts';
import type { Isolator, IsolatorHost } from '../isolator.ts';
import { formatBytes } from './memory.ts';
import { withoutController } from './without-controller.ts';

export function hugetlbIsolator(
  { cgroups: { extra } }: Pick<IsolatorHost, 'cgroups'>,
  readSizes: () => number[] = hugePageSizes,
): Isolator {
  const version = extra.version('hugetlb');
  return {
    name: 'cgroups/hugetlb',
    asks: ({ resources }) => ((resources?.hugepages?.length ?? 0) > 0 ? 'resources.hugepages' : undefined),
    problems({ resources }) {
      if (version === undefined) return [`resources.hugepages: ${withoutController('hugetlb')}`];
      return (resources?.hugepages ?? []).flatMap((limit, index) =>
        sizeProblem(limit, readSizes()).map((problem) => `resources.hugepages[${index}].${problem}`),
      );
    },

    prepare({ containerId, container }) {
      const limits = container.resources?.hugepages ?? [];
      if (version === undefined || limits.length === 0) return;
      const directory = extra.add(containerId, 'hugetlb');
      for (const { pageSize, limit } of limits)
        limitHugePages(directory, version, parseWhole(pageSize), parseWhole(limit));
    },

    contribute({ containerId }) {
      const group = version === 'v1' ? extra.find(containerId, 'hugetlb') : undefined;
      return group === undefined ? {} : { join: [{ op: 'joinCgroup', path: `${group}/tasks` }] };
    },
  };
}

function sizeProblem({ pageSize, limit }: HugepageLimit, sizes: readonly number[]): string[] {
  const bytes = parseWhole(pageSize);
  if (!sizes.includes(bytes))
    return [
      `pageSize: this agent has pages of ${sizes.map(formatBytes).join(', ') || 'no large size'}, not ${pageSize}`,
    ];
  return parseWhole(limit) % bytes === 0 ? [] : [`limit: ${limit} is not a whole number of pages of ${pageSize}`];
}
