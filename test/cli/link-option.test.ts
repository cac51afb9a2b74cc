import { describe, expect, it } from 'vitest';
import { readLink } from '../../src/cli/link-option.ts';

describe('--link', () => {
  it.each([
    ['server:/run/a.sock', { server: '/run/a.sock' }],
    [
      'client:other:7000,out=$.A.*,out=$.B,in=$.C,key-file=link.key',
      { client: 'other:7000', out: ['$.A.*', '$.B'], in: ['$.C'], keyFile: 'link.key' },
    ],
    ['client:/run/a.sock,classic', { client: '/run/a.sock', classic: true }],
    [
      'nats:plant@nats://user:secret@a:4222,nats://b:4222,tls://c,large=refuse,in=$.C',
      {
        nats: 'nats://user:secret@a:4222,nats://b:4222,tls://c',
        federation: 'plant',
        large: 'refuse',
        in: ['$.C'],
      },
    ],
    [
      'nats:plant@tls://a,mode=stream,state=s,max-bytes=9,max-age=2min,discard=new,replicas=3,creds=c,nkey=n,ca=x,cert=y,key=z',
      {
        nats: 'tls://a',
        federation: 'plant',
        mode: 'stream',
        state: 's',
        maxBytes: 9,
        maxAge: 120,
        discard: 'new',
        replicas: 3,
        credentials: 'c',
        nkey: 'n',
        ca: 'x',
        cert: 'y',
        key: 'z',
      },
    ],
  ])('%s', (text, link) => {
    expect(readLink(text)).toEqual(link);
  });

  it.each([
    ['nats:plant', /must begin with .* nats:NAME@URL/],
    ['nats:@nats://a', /must begin with/],
    ['nats:plant@nats://a,replicas=0', /'replicas=0': It must be a whole number from 1/],
    ['nats:plant@nats://a,classic', /'classic' can't follow this address/],
    ['nats:plant@nats://a,mode', /'mode' can't follow this address/],
    ['nats:plant@nats://a,toString=1', /'toString=1' can't follow this address/],
    ['server:/a,out=', /'out=' can't follow this address/],
    ['server:/a,', /'' can't follow this address/],
  ])('%s is refused', (text, why) => {
    expect(() => readLink(text)).toThrow(why);
  });
});
