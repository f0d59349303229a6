/** The kernel's lists of processors and NUMA nodes: `0-3,8`. */

/** Above what any kernel is built for (NR_CPUS): a longer range is a mistake, and must not take the memory of one. */
const most = 8192;

/** Ascending, without repetitions. Throws RangeError for what is no list. An empty text is an empty list. */
export function parseCpuList(text: string): number[] {
  const numbers = new Set<number>();
  for (const part of text.trim().split(',')) {
    if (part === '') continue;
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === undefined || Number(last) < Number(first) || Number(last) >= most)
      throw new RangeError(`"${text}" is no list of processors such as 0-3,8`);
    for (let number = Number(first); number <= Number(last); number++) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

export function formatCpuList(numbers: Iterable<number>): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const ranges: string[] = [];
  for (let at = 0; at < sorted.length; ) {
    let end = at;
    while (sorted[end + 1] === sorted[end]! + 1) end++;
    ranges.push(end === at ? `${sorted[at]}` : `${sorted[at]}-${sorted[end]}`);
    at = end + 1;
  }
  return ranges.join(',');
}
