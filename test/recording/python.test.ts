import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { newFolder } from '../support/folder.ts';
import { readAll, record } from './recorded.ts';

// A second opinion, by the other library that the authors of MCAP keep.
const HAS_MCAP = spawnSync('python3', ['-c', 'import mcap.reader']).status === 0;
const why = HAS_MCAP ? '' : " (SKIPPED: Python has no 'mcap'; pip install mcap)";

const PROGRAM = `
import json, sys
from mcap.reader import make_reader
with open(sys.argv[1], 'rb') as file:
    reader = make_reader(file, validate_crcs=True)
    summary = reader.get_summary()
    data = [message.data.hex() for _, _, message in reader.iter_messages(log_time_order=False)]
    print(json.dumps({
        'count': summary.statistics.message_count,
        'chunks': len(summary.chunk_indexes),
        'topics': sorted(channel.topic for channel in summary.channels.values()),
        'data': data,
    }))
`;

it.skipIf(!HAS_MCAP)(`A recording is read by Python's mcap as it was written${why}.`, async () => {
  const path = join(await newFolder(), 'run.mcap');
  await record(path);
  const { events } = await readAll(path);
  const read = JSON.parse(execFileSync('python3', ['-c', PROGRAM, path], { encoding: 'utf8' }));
  expect(read.count).toBe(events.length);
  expect(read.topics).toContain('$.News');
  expect(read.data).toEqual(events.map(({ bytes }) => Buffer.from(bytes).toString('hex')));
});
