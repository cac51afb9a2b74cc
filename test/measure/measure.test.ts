import { expect, test } from 'vitest';
import {
  type Announcer,
  type Announcing,
  announcing,
  asking,
  hearing,
} from '../../src/measure/index.ts';

const plain: Announcing = { lengths: [16], ring: 8 };

/** Messages of a run of announcements: 64 at least. */
type Sent = [Buffer, Buffer, Buffer, Buffer, ...Buffer[]];

/** The data of the messages that a run of announcements sends. */
async function announced(traffic = plain, sender = 0) {
  const sent: Buffer[] = [];
  const run = announcing(
    { send: (data) => void sent.push(Buffer.from(data)), finish: async () => {} },
    { ...traffic, sender },
  );
  await run(1);
  return sent as Sent;
}

/** The counts of these messages, and whether the end of the run was noticed. */
function heard(messages: Buffer[], traffic = plain) {
  let ended = 0;
  const ear = hearing(traffic, () => ended++);
  for (const data of messages) ear.hear(data, 0, data.length);
  return { ...ear.take(), ended };
}

test('a complete run is counted completely, and its end is noticed', async () => {
  const sent = await announced();
  expect(sent.length).toBeGreaterThan(0);
  expect(heard(sent)).toMatchObject({ count: sent.length, lost: 0, wrong: 0, ended: 1 });
});

test('a missing message counts as lost', async () => {
  const sent = await announced();
  sent.splice(5, 2);
  expect(heard(sent)).toMatchObject({ lost: 2, wrong: 0, ended: 1 });
});

test('a message that arrives twice, late, or truncated counts as wrong', async () => {
  const sent = await announced();
  expect(heard([...sent.slice(0, 4), sent[3], ...sent.slice(4)])).toMatchObject({ wrong: 1 });
  expect(heard([sent[1], sent[0], ...sent.slice(2)])).toMatchObject({ lost: 1, wrong: 1 });
  expect(heard([sent[0].subarray(0, 15), ...sent.slice(1)])).toMatchObject({ wrong: 1 });
});

test('a run that lost its last message does not end by itself', async () => {
  const sent = await announced();
  expect(heard(sent.slice(0, -1)).ended).toBe(0);
});

const crowd = {
  lengths: Array.from({ length: 1024 }, (_, at) => 16 + ((at * 7919) % 241)),
  ring: 4096,
  names: 1000,
  senders: 2,
};

test('the serials of each sender are checked separately, and the run ends with the last of them', async () => {
  const [one, other] = [await announced(crowd, 0), await announced(crowd, 1)];
  const both = [...one.slice(0, 20), ...other.slice(0, 30), ...one.slice(20), ...other.slice(30)];
  expect(heard(both, crowd)).toMatchObject({ count: both.length, lost: 0, wrong: 0, ended: 1 });
  expect(heard([...one, ...other.slice(0, -1)], crowd)).toMatchObject({ wrong: 0, ended: 0 });
  const without = both.filter((data) => data !== one[5] && data !== other[40]);
  expect(heard(without, crowd)).toMatchObject({ lost: 2, wrong: 0, ended: 1 });
});

test('data of an unknown sender, or of a wrong length, counts as wrong', async () => {
  const sent = await announced(crowd);
  const alone = { ...crowd, senders: 1 };
  const strange = Buffer.from(sent[3]);
  strange[5] = 1;
  expect(heard([...sent.slice(0, 3), strange], alone)).toMatchObject({ wrong: 1 });
  const longer = Buffer.concat([sent[3], Buffer.alloc(1)]);
  expect(heard([...sent.slice(0, 3), longer], alone)).toMatchObject({ wrong: 1 });
});

test('every sender sends to all names in turn, and each begins with another', async () => {
  const namesSentTo = async (sender: number) => {
    const names: number[] = [];
    const announcer: Announcer = {
      send: (_, name) => void names.push(name),
      finish: async () => {},
    };
    await announcing(announcer, { ...crowd, names: 10, sender })(1);
    return names.slice(0, 12);
  };
  expect(await namesSentTo(0)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
  expect(await namesSentTo(1)).toEqual([5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6]);
});

test('at most the given number of requests is in flight, and none is left at the end', async () => {
  let flying = 0;
  let most = 0;
  const run = asking(
    (data, done) => {
      most = Math.max(most, ++flying);
      setImmediate(() => {
        flying--;
        done(data, 0, data.length);
      });
    },
    { size: 16, inFlight: 7 },
  );
  const ran = await run(1);
  expect({ most, flying, wrong: ran.wrong }).toEqual({ most: 7, flying: 0, wrong: 0 });
});

test('a reply to another request counts as wrong', async () => {
  const other = Buffer.alloc(16, 255);
  const run = asking((_, done) => void setImmediate(done, other, 0, other.length), {
    size: 16,
    inFlight: 1,
  });
  const ran = await run(1);
  expect(ran.wrong).toBe(ran.count);
});
