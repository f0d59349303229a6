/** An agent cannot run without root here. The message is one sentence that names what is missing and how to get it. */
export class RootlessImpossible extends Error {
  override name = 'RootlessImpossible';
}
