/** Recordings: files of what happened on a bus. */
export { FileError } from './disk-file.ts';
export { type Recorded, Recorder, type RecorderOptions, RecordingError } from './recorder.ts';
export { type RecordedEvent, Recording } from './recording.ts';
