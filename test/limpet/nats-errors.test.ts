import { expect, it } from 'vitest';
import { cantConnect, notAllowed } from '../../src/limpet/federation/nats-errors.ts';

it.each([
  [
    'getaddrinfo ENOTFOUND no.such',
    /^can't connect to NATS at a:1, b:2: no machine of the name 'no\.such'/,
  ],
  ['getaddrinfo EAI_AGAIN some.host', /no machine of the name 'some\.host' is found/],
  ['connection refused', /no server listens there/],
  ["server does not support 'tls'", /the server has no TLS: .*nats:\/\//],
  ['self-signed certificate', /: self-signed certificate: with --ca/],
  [
    "Hostname/IP does not match certificate's altnames: Host: a. is not in b",
    /is not for this address/,
  ],
  ['Something else', /: something else$/],
])('an error of the NATS client says what to do: %s', (message, says) => {
  expect(cantConnect(['a:1', 'b:2'], new Error(message)).message).toMatch(says);
});

it('what a server does not allow is told in plain words', () => {
  expect(notAllowed('Permissions Violation for Publish to "kbus.plant.hello.2"')).toMatch(
    /does not allow this Limpet to publish on kbus\.plant\.hello\.2: .*docs\/machines\.md/,
  );
  expect(notAllowed('Permissions Violation for Subscription to "a.*"')).toMatch(
    /subscribe to a\.\*/,
  );
  expect(notAllowed('something else')).toBe('something else');
});
