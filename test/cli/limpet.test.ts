import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { HAS_NATS, NATS_SERVER, NatsServer } from '../limpet/engines.ts';
import { newFolder } from '../support/folder.ts';
import { kbus, MAIN, serve, start } from './kbus.ts';

describe('kbus limpet', () => {
  test('joins two buses; kbus limpets shows the link', async () => {
    const served = await serve('--buses', '2');
    const path = join(served.directory, 'link.sock');
    const one = served.start(['limpet', '--server', '--id', '1', path]);
    await one.says(/listening/);
    const two = served.start(['limpet', '--client', '--id', '2', '--bus', '1', path]);
    const replier = served.start(['reply', '$.Gulp', 'gulp!', '--bus', '1']);
    await replier.says(/replying/);
    await Promise.all([one.says(/joined with Limpet 2/), two.says(/joined with Limpet 1/)]);
    const listening = served.start(['listen', '$.KBUS.*', '--count', '1']);
    await listening.says(/listening/);
    for (;;) {
      const { code, stdout } = await served.kbus(['request', '$.Gulp', 'hungry?']);
      if (code !== 0) continue;
      expect(stdout).toBe('gulp!');
      break;
    }
    const { stdout } = await served.kbus(['limpets']);
    expect(stdout).toMatch(/^Limpet 1: speaks for the bus; sent \d+/);
    expect(stdout).toContain(`link server ${path}: up, Limpet 2`);
    expect(stdout).toContain('path to Limpet 2: 1 link, 1 Replier');
    const json = await served.kbus(['limpets', '--json', '--bus', '1']);
    expect(JSON.parse(json.stdout)).toMatchObject({ id: 2, isSpeaker: true });
    expect((await two.kill('SIGTERM')).code).toBe(0);
    await one.says(/the other Limpet stops|closed the link/);
  });

  test('says what to do when it is used badly', async () => {
    const served = await serve('--buses', '2');
    const path = join(served.directory, 'link.sock');
    const one = served.start(['limpet', '--server', '--id', '1', path]);
    await one.says(/listening/);
    const cases: [args: string[], code: number, says: RegExp][] = [
      [['--server', '--id', '0', path], 2, /must be a whole number from 1/],
      [['--server', '--id', '1', `${path}2`], 1, /id 1 is on bus 0 already: .*another --id/],
      [['--server', '--id', '2', path], 1, /another program listens at .*stop it/],
      [
        ['--server', '--id', '2', join(served.directory, 'no', 'x')],
        1,
        /there is no folder .*make it/,
      ],
      [['--server', '--id', '2', MAIN], 1, /it is there already, and is no socket: remove it/],
      [
        ['--server', '--id', '2', '--insecure', '192.0.2.1:7000'],
        1,
        /192\.0\.2\.1 is no address of this machine: take one that is, or give .*another/,
      ],
      [['--client', '--id', '2', path], 1, /same bus.*give one of them another --bus/],
      [['--client', '--id', '1', '--bus', '1', path], 1, /both Limpets have the network id 1/],
      [['--client', '--id', '2', '10.1.2.3:7000'], 2, /anybody could connect.*--insecure/],
      [['--client', '--id', '2', '--bus', '9', path], 3, /there is no bus 9/],
      [['--id', '2'], 2, /where is the other Limpet\?/],
      [['--id', '2', path], 2, /either --server, .* or --client/],
      [
        ['--id', '2', '--link', 'to:me'],
        2,
        /must begin with server:ADDRESS, client:ADDRESS or nats:NAME@URL/,
      ],
      [
        ['--id', '2', '--link', 'nats:plant@nats://a,mod=stream'],
        2,
        /'mod=stream' can't follow this address; what can: out=NAME, .*mode=core\|stream/,
      ],
      [
        ['--id', '2', '--link', 'nats:plant@nats://a,mode=steam'],
        2,
        /'mode=steam': It must be core or stream/,
      ],
      [
        ['--id', '2', '--link', `client:${path},large=refuse`],
        2,
        /'large=refuse' can't follow this address; what can: out=NAME, in=NAME, key-file=FILE/,
      ],
      [
        ['--id', '2', '--link', 'nats:plant@nats://a,max-age=4'],
        2,
        /maxAge is for a federation of mode stream: set mode to stream/,
      ],
      [
        ['--id', '2', '--nats', 'nats://127.0.0.1:1'],
        2,
        /a federation needs a name, such as plant/,
      ],
      [['--id', '2', '--federation', 'plant'], 2, /--federation plant needs .* --nats nats:/],
      [['--id', '2', '--server', path, '--state', path], 2, /--state is for a link over NATS/],
      [
        ['--id', '2', '--nats', 'nats://a', '--federation', 'plant', '--stream-max-age', '4'],
        2,
        /--stream-max-age is for mode stream: add --nats-mode stream/,
      ],
      [
        ['--id', '2', '--nats', 'nats://127.0.0.1:1', '--federation', 'plant', '--client', path],
        2,
        /a link has one place/,
      ],
    ];
    for (const [args, code, says] of cases) {
      const outcome = await served.kbus(['limpet', ...args]);
      expect(outcome.stderr).toMatch(says);
      expect(outcome.code).toBe(code);
    }
  });

  test.skipIf(!HAS_NATS)(`joins buses through a NATS server: ${NATS_SERVER}`, async () => {
    const server = await NatsServer.start();
    onTestFinished(() => server.end());
    const served = await serve('--buses', '3');
    const federation = ['--nats', server.url, '--federation', 'plant'];
    const limpets = [1, 2, 3].map((id) =>
      served.start(['limpet', '--id', `${id}`, '--bus', `${id - 1}`, ...federation]),
    );
    for (const [at, limpet] of limpets.entries()) {
      for (const id of [1, 2, 3])
        if (id !== at + 1) await limpet.says(new RegExp(`joined with Limpet ${id}`));
    }
    const { stdout } = await served.kbus(['limpets']);
    expect(stdout).toMatch(/link federation plant: up, Limpet 2/);
    expect(stdout).toContain('path to Limpet 3: 1 link, 0 Repliers');
    await server.kill();
    await limpets[0]?.says(/the connection to the NATS server is lost/);
    const lost = await served.kbus(['limpets']);
    expect(lost.stdout).toContain('plant: lost, the connection to the NATS server is lost');
    await server.start();
    await limpets[0]?.says(/the engine is in reach[\s\S]*the engine is in reach/);
  });

  test('the daemon runs the Limpets of its configuration file', async () => {
    const folder = await newFolder();
    const config = join(folder, 'kbus.toml');
    const link = join(folder, 'link.sock');
    writeFileSync(
      config,
      `buses = 2\ndirectory = "${folder}"\n
[[limpet]]\nid = 1\nbus = 0\nlink = [{ server = "${link}" }]\n
[[limpet]]\nid = 2\nbus = 1\nlink = [{ client = "${link}" }]\n`,
    );
    const daemon = start(['serve', '--config', config]);
    await daemon.says(/joined with Limpet 2/);
    const env = { KBUS_DIR: folder };
    const { stdout } = await kbus(['limpets', '--bus', '1'], { env });
    expect(stdout).toContain('Limpet 2: speaks for the bus');
    expect((await daemon.kill('SIGTERM')).code).toBe(0);
  });

  test.each([
    ['id = 0', [2], ': the network id of a Limpet is a whole number from 1 to 4294967295'],
    ['id = "one"', [3], ', id: must be a number, not "one"'],
    ['id = 1.5', [3], ', id: must be a whole number from 0'],
    ['id = 1\nbuffer = "much"', [4], ', buffer: must be a number of bytes, or such as 64MiB'],
    ['id = 1\nlnik = 3', [4], ", lnik: is not a setting of a Limpet; did you mean 'link'?"],
    ['bus = 1', [2], ', id: is missing'],
    ['id = "x"\nbus = "y"', [3, 4], ': must be a number, not '],
  ])(
    'a table with %j in a configuration file is wrong, in these lines: %j',
    async (text, at, says) => {
      const config = join(await newFolder(), 'kbus.toml');
      const link = 'link = [{ server = "/tmp/x.sock" }]\n';
      writeFileSync(config, `buses = 2\n[[limpet]]\n${text}\n${link}`);
      const { code, stderr } = await kbus(['serve', '--config', config]);
      const lines = stderr.trim().split('\n');
      expect(lines).toEqual(at.map(() => expect.stringContaining(says)));
      for (const [index, line] of at.entries())
        expect(lines[index]).toContain(`kbus.toml, line ${line}, limpet 1`);
      expect(code).toBe(2);
    },
  );

  test.each([
    ['{ sever = "/x" }', "link[0].sever: is not a setting of a link; did you mean 'server'?"],
    ['{ server = 5 }', 'link[0].server: must be a string, not 5'],
    ['{ nats = 3 }', 'link[0].nats: must be the address of a server, or a list of them'],
    ['{ client = "/x", mode = "x" }', 'link[0].mode: must be "core" or "stream", not "x"'],
    [
      '{ nats = "nats://x", federation = "a", mode = "stream", max-age = "soon" }',
      'link[0].max-age: must be a time of whole seconds, such as 90 or "7d"',
    ],
    ['"/x"', 'link[0]: must be a table such as { client = "/tmp/link.sock" }, not "/x"'],
    ['', 'link: must have at least one link'],
  ])('a link %s in a configuration file is wrong', async (link, says) => {
    const config = join(await newFolder(), 'kbus.toml');
    writeFileSync(config, `[[limpet]]\nid = 1\nbuffer = "8MiB"\nlink = [${link}]\n`);
    const { code, stderr } = await kbus(['serve', '--config', config]);
    expect(stderr).toBe(`kbus: ${config}, line 4, limpet 1, ${says}\n`);
    expect(code).toBe(2);
  });
});

describe('kbus play --bowls', () => {
  test('shows each hop, and the Status of a link that is cut', async () => {
    const { code, stdout, stderr } = await kbus(['play', '--bowls']);
    expect(stderr).toBe('');
    for (const bowl of [0, 1, 2]) {
      expect(stdout).toMatch(new RegExp(`bowl ${bowl} │ <Announcement '\\$.Gulp.Hello'.*anybody`));
    }
    expect(stdout).toContain("bowl 2 │ A got the Reply 'gulp!'");
    expect(stdout).toContain('bowl 2 │ A got the Status $.KBUS.Limpet.LinkLost');
    expect(stdout.match(/A got the Reply/g)).toHaveLength(2);
    expect(code).toBe(0);
  });
});

describe('kbus play --machines', () => {
  test.skipIf(!HAS_NATS)(`shows what a federation keeps: ${NATS_SERVER}`, async () => {
    const { code, stdout, stderr } = await kbus(['play', '--machines']);
    expect(stderr).toBe('');
    for (const machine of [0, 1, 2]) {
      const lines = ['is anybody there', 'while the server was away'];
      for (const line of lines)
        expect(stdout).toMatch(new RegExp(`machine ${machine} │ .*${line}`));
    }
    expect(stdout).toContain('machine 2 │ A got the Status $.KBUS.Limpet.LinkLost');
    expect(stdout.match(/A got the Reply 'gulp!'/g)).toHaveLength(2);
    expect(code).toBe(0);
  });
});
