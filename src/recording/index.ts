/** Recordings: files of what happened on a bus. */
export { FileError } from './file-error.ts';
export { openRecording } from './open-recording.ts';
export { type Recorded, Recorder, type RecorderOptions, RecordingError } from './recorder.ts';
export type { RecordedEvent, Recording } from './recording.ts';
