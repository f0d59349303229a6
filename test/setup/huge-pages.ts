import { writeFileSync } from 'node:fs';
import { cachedBuild, compile } from '../../runtime/launcher/build.ts';

/** Maps and touches so many pages of 2 MiB; exit code 1 when it may not. */
export function mapperProgram(): Promise<string> {
  return cachedBuild('test-hugepages-1', async (output) => {
    const source = `${output}.c`;
    writeFileSync(
      source,
      `#define _GNU_SOURCE
       #include <stdlib.h>
       #include <string.h>
       #include <sys/mman.h>
       int main(int argc, char **argv) {
         size_t size = (size_t)atoi(argv[argc - 1]) << 21;
         char *at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
         if (at == MAP_FAILED) return 1;
         memset(at, 1, size);
         return 0;
       }`,
    );
    await compile(['-static', '-O1', '-o', output, source]);
  });
}
