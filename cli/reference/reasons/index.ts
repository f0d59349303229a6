/**
 * Every reason that Tepui writes into a status, a condition or an event, in words. test/cli/reference.test.ts fails when the source has
 * a reason that is not here.
 */

export { type ConditionDescription, conditions } from './conditions.ts';
export { eventReasons } from './events.ts';
export { placementReasons } from './placement.ts';
export { type TaskReason, taskReasons } from './tasks.ts';
