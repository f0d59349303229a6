/** States that a task never leaves. */
export const terminalStates: ReadonlySet<string> = new Set([
  'Finished',
  'Failed',
  'Killed',
  'Error',
  'Dropped',
  'Gone',
  'GoneByOperator',
]);
