/** The containerizer that runs the container cannot do what is asked. The message says so to whoever asked. */
export class Unsupported extends Error {
  override name = 'Unsupported';
}
