// Jest transform: removes TypeScript types with the same stripper that Node itself uses, so tests run the code that ships.
import { stripTypeScriptTypes } from 'node:module';

export default {
  process(source, path) {
    return { code: path.endsWith('.ts') ? stripTypeScriptTypes(source, { mode: 'strip', sourceUrl: path }) : source };
  },
};
