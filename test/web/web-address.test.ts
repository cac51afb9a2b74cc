import { describe, expect, it } from 'vitest';
import { checkExposure, isLocal, namesOf, parseWebAddress } from '../../src/web/web-address.ts';
import { WebError } from '../../src/web/web-error.ts';

describe('The address of the web', () => {
  it.for([
    ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
    ['localhost:80', { host: '127.0.0.1', port: 80 }],
    ['[::1]:8080', { host: '::1', port: 8080 }],
    ['0.0.0.0:0', { host: '0.0.0.0', port: 0 }],
    ['/run/kbus/web.sock', { path: '/run/kbus/web.sock' }],
  ] as const)('%s', ([text, address]) => {
    expect(parseWebAddress(text)).toEqual(address);
  });

  it.for([
    '8080',
    ':8080',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '127.1:8080',
    '0177.0.0.1:8080',
    '2130706433:8080',
    '::1:8080',
    '[127.0.0.1]:8080',
    '[::1]',
    'example.org:8080',
    'http://127.0.0.1:8080',
    'run/web.sock',
    ' 127.0.0.1:8080',
  ])('%s is none, and the error shows what one is.', (text) => {
    expect(() => parseWebAddress(text)).toThrow(WebError);
    expect(() => parseWebAddress(text)).toThrow(/127\.0\.0\.1:8080/);
  });

  it.for([
    ['127.0.0.1:80', true],
    ['127.255.0.9:80', true],
    ['[::1]:80', true],
    ['/run/web.sock', true],
    ['0.0.0.0:80', false],
    ['[::]:80', false],
    ['10.0.0.1:80', false],
    ['128.0.0.1:80', false],
    ['[fe80::1]:80', false],
  ] as const)('%s is reached by this machine alone: %s.', ([text, expected]) => {
    const address = parseWebAddress(text);
    expect(isLocal(address)).toBe(expected);
    const open = (hasTls: boolean, isInsecure: boolean) => () =>
      checkExposure(address, hasTls, isInsecure);
    if (expected) expect(open(false, false)).not.toThrow();
    else expect(open(false, false)).toThrow(/without TLS .* web-cert and web-key, .* insecure/);
    expect(open(true, false)).not.toThrow();
    expect(open(false, true)).not.toThrow();
  });
});

describe('The names of a daemon', () => {
  const names = (text: string, hasTls = false, origins: string[] = []) => {
    const { hosts, origins: pages, home } = namesOf(parseWebAddress(text), hasTls, origins);
    return { hosts: [...hosts], origins: [...pages], home };
  };

  it('are the spellings of its address that browsers use.', () => {
    expect(names('127.0.0.1:8080')).toEqual({
      hosts: ['127.0.0.1:8080', 'localhost:8080'],
      origins: ['http://127.0.0.1:8080', 'http://localhost:8080'],
      home: 'http://127.0.0.1:8080',
    });
    expect(names('[::1]:8080').hosts).toEqual(['[::1]:8080', 'localhost:8080']);
    expect(names('127.0.0.2:8080').hosts).toEqual(['127.0.0.2:8080']);
  });

  it('have a usual port, or leave it out.', () => {
    expect(names('127.0.0.1:80').hosts.sort()).toEqual(
      ['127.0.0.1', '127.0.0.1:80', 'localhost', 'localhost:80'].sort(),
    );
    expect(names('10.0.0.1:443', true)).toEqual({
      hosts: ['10.0.0.1', '10.0.0.1:443'],
      origins: ['https://10.0.0.1'],
      home: 'https://10.0.0.1',
    });
  });

  it('are those of its proxy, for a Unix socket; it does not guess one.', () => {
    expect(names('/run/web.sock')).toEqual({ hosts: ['localhost'], origins: [], home: undefined });
    expect(names('/run/web.sock', false, ['https://bus.example.org'])).toEqual({
      hosts: ['bus.example.org', 'bus.example.org:443', 'localhost'],
      origins: ['https://bus.example.org'],
      home: 'https://bus.example.org',
    });
  });

  it.for([
    'bus.example.org',
    'https://bus.example.org/',
    'https://bus.example.org/a',
    'HTTPS://bus.example.org',
    'https://bus.example.org:443',
    'ws://bus.example.org',
    '*',
    'null',
    '',
  ])("An origin '%s' is refused, with what to write.", (origin) => {
    expect(() => names('127.0.0.1:80', false, [origin])).toThrow(/web-origins: .*such as https:/);
  });
});
