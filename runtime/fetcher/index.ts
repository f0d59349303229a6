/** Files that a task names by address, brought into its sandbox before it starts. */
export { FetchFailed } from './errors.ts';
export { type Fetcher, type FetcherOptions, type FetchProgress, type FetchRequest, openFetcher } from './fetcher.ts';
export { fetchProblems } from './validate.ts';
