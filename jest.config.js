/** Jest in ESM mode. Suites are chosen by folder: `npm run jest -- test/apiserver`. */
export default {
  testEnvironment: '<rootDir>/test/setup/environment.mjs',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/test/setup/strip-types.mjs' },
  moduleFileExtensions: ['ts', 'js', 'mjs', 'json', 'node'],
  testTimeout: 30_000,
  // Of this checkout: not in the world's /tmp, and copied with it into the virtual machine, where to strip types takes minutes.
  cacheDirectory: '<rootDir>/node_modules/.cache/jest',
};
