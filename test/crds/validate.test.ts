import { describe, expect, test } from '@jest/globals';
import { validateDocument } from '../../crds/validate.ts';
import { offlineSamples, samples } from './samples/samples.ts';

describe('validateDocument', () => {
  test.each([...samples, ...offlineSamples].map((sample) => [sample.what, sample] as const))(
    'finds what is wrong with %s',
    (_what, sample) => {
      const { errors } = validateDocument(sample.document, sample.old && validateDocument(sample.old).defaulted);
      const found = errors.filter((error) => !error.message.includes('some validation rules were not checked'));
      const paths = sample.errors.map(([path]) => path).sort();
      expect({
        paths: found.map((error) => error.path).sort(),
        found: found.map((error) => error.message),
      }).toMatchObject({ paths });
      for (const [path, part] of sample.errors) {
        expect(
          found
            .filter((error) => error.path === path)
            .map((error) => error.message)
            .join('\n'),
        ).toContain(part);
      }
    },
  );

  test('leaves the given document as it is', () => {
    const sample = samples[0]!.document;
    const before = structuredClone(sample);
    validateDocument(sample);
    expect(sample).toEqual(before);
  });
});
