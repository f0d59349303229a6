/** What an attempt refuses, as a list of problems: the message of an error of this class. Other errors are thrown. */
export function refusalsOf(refusal: new (message: string) => Error, attempt: () => unknown): string[] {
  try {
    attempt();
    return [];
  } catch (error) {
    if (error instanceof refusal) return [error.message];
    throw error;
  }
}
