import { describe, expect, test } from '@jest/globals';
import { defaultPullPolicy, formatReference, imageCommand, parseReference } from '../../../runtime/images/index.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('an image reference', () => {
  test.each([
    ['busybox', 'docker.io/library/busybox:latest'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36'],
    ['team/app', 'docker.io/team/app:latest'],
    ['docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['index.docker.io/team/app:1', 'docker.io/team/app:1'],
    ['registry-1.docker.io/app', 'docker.io/library/app:latest'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest'],
    ['host:5000/a/b/c:tag_1.2-x', 'host:5000/a/b/c:tag_1.2-x'],
    ['Registry.Example/app', 'registry.example/app:latest'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    [`app@${digest}`, `docker.io/library/app@${digest}`],
    [`app:1@${digest}`, `docker.io/library/app:1@${digest}`],
    ['a__b/c--d.e_f', 'docker.io/a__b/c--d.e_f:latest'],
    ['oci:1.0', 'docker.io/library/oci:1.0'],
    ['oci:/srv/x', 'oci:/srv/x'],
    ['oci:/srv//x/./y/:name', 'oci:/srv/x/y:name'],
    ['docker-archive:/a.tar:team/app:1', 'docker-archive:/a.tar:team/app:1'],
    ['oci-archive:/a.tar', 'oci-archive:/a.tar'],
  ])('%s is %s', (text, full) => {
    const reference = parseReference(text);
    expect(formatReference(reference)).toBe(full);
    expect(formatReference(parseReference(full))).toBe(full);
  });

  test.each([
    ['', 'it has no repository'],
    ['App', 'no repository name'],
    ['a//b', 'no repository name'],
    ['/a', 'no repository name'],
    ['a/', 'no repository name'],
    ['a:', 'is no tag'],
    ['a:b:c', 'no repository name'],
    ['a:-x', 'is no tag'],
    [`a:${'x'.repeat(129)}`, 'is no tag'],
    ['a@sha256:123', 'is no sha256 or sha512 digest'],
    ['a@md5:1', 'is no sha256 or sha512 digest'],
    ['a b', 'no repository name'],
    ['a/../b', 'no repository name'],
    ['ho st.example/a', 'is no host and port'],
    ['host:port/a', 'is no host and port'],
    ['-host.example/a', 'is no host and port'],
    ['f'.repeat(64), 'an image id is no reference'],
    [`a.example/${'b'.repeat(250)}`, 'more than 255 characters'],
    ['docker-archive:relative.tar', 'needs an absolute path'],
    ['oci:/a/../etc', 'has a ".." part'],
    ['oci:/a:', 'the name after the path is empty'],
    ['oci:/a\0b', 'has a ".." part'],
    ['a\n', 'no repository name'],
  ])('%j is none: %s', (text, problem) => {
    expect(() => parseReference(text)).toThrow(problem);
  });

  test('without a registry means the one that the operator says', () => {
    expect(formatReference(parseReference('app', 'registry.example:5000'))).toBe('registry.example:5000/app:latest');
    expect(formatReference(parseReference('docker.io/app', 'registry.example'))).toBe('docker.io/library/app:latest');
  });

  test('is pulled always when it may change under its name', () => {
    const policy = (text: string) => defaultPullPolicy(parseReference(text));
    expect(['a', 'a:latest', 'oci:/a:b'].map(policy)).toEqual(['Always', 'Always', 'Always']);
    expect(['a:1', `a@${digest}`, `a:latest@${digest}`].map(policy)).toEqual([
      'IfNotPresent',
      'IfNotPresent',
      'IfNotPresent',
    ]);
  });
});

describe('what a container of an image executes', () => {
  const both = { entrypoint: ['/entry', '-e'], cmd: ['/cmd', '-c'] };
  test.each([
    [{ shell: 'echo $X' }, both, ['/bin/sh', '-c', 'echo $X']],
    [{ command: ['/x', 'y'] }, both, ['/x', 'y']],
    [{ command: ['/x'], args: ['z'] }, both, ['/x', 'z']],
    [{}, both, ['/entry', '-e', '/cmd', '-c']],
    [{ args: ['a'] }, both, ['/entry', '-e', 'a']],
    [{ args: [] }, both, ['/entry', '-e']],
    [{}, { cmd: ['/cmd', '-c'] }, ['/cmd', '-c']],
    [{ args: ['a', 'b'] }, { cmd: ['/cmd', '-c'] }, ['/cmd', 'a', 'b']],
    [{}, { entrypoint: ['/entry'] }, ['/entry']],
    [{}, { entrypoint: [''], cmd: ['/cmd', '-c'] }, ['/cmd', '-c']],
    [{ command: ['/x'] }, {}, ['/x']],
  ])('%j of %j is %j', (container, config, argv) => {
    expect(imageCommand({ name: 'c', ...container }, config)).toEqual(argv);
  });

  test.each([[{}], [{ args: ['a'] }]])('%j of nothing is nothing', (container) => {
    expect(() => imageCommand({ name: 'c', ...container }, {})).toThrow('neither Entrypoint nor Cmd');
  });
});
