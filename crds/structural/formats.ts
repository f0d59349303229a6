/** The `format`s that Kubernetes checks; all others are ignored, as it does. */
import type { Ajv } from 'ajv';
import addAjvFormats, { type FormatName } from 'ajv-formats';

export function addFormats(ajv: Ajv): void {
  // ajv-formats is a CommonJS module whose default export is the function itself at run time.
  (addAjvFormats as unknown as (ajv: Ajv, formats: FormatName[]) => void)(ajv, FROM_LIBRARY);
  for (const [name, test] of Object.entries(OWN)) ajv.addFormat(name, test);
}

const FROM_LIBRARY: FormatName[] = ['date', 'email', 'hostname', 'ipv4', 'ipv6', 'uri', 'byte'];

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const DATE_TIME = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})$/;

const OWN: Record<string, RegExp | ((text: string) => boolean)> = {
  'date-time': isDateTime,
  datetime: isDateTime,
  duration:
    /^([+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$|^0$|^[+-]?\d+(\.\d+)?\s*(d|days?|w|weeks?|hours?|minutes?|seconds?)$/,
  cidr: /^[0-9a-fA-F.:]+\/\d{1,3}$/,
  mac: /^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5,19}$|^[0-9a-fA-F]{4}(\.[0-9a-fA-F]{4}){2,9}$/,
  uuid: UUID,
  uuid3: /^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i,
  uuid4: /^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i,
  uuid5: /^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i,
  'k8s-short-name': /^(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
  'k8s-long-name': /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  hexcolor: /^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/,
  password: () => true,
};

function isDateTime(text: string): boolean {
  const match = DATE_TIME.exec(text);
  if (!match) return false;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const lastDay = new Date(Date.UTC(year, month, 0)).getUTCDate();
  return month >= 1 && month <= 12 && day >= 1 && day <= lastDay && hour <= 23 && minute <= 59 && second <= 60;
}
