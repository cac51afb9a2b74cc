/** The tap for browsers: `import { observe } from 'kbus/browser/observe'`. Apart from Ksocks, which most pages need alone. */
export { observe, type WebObserveOptions as ObserveOptions } from './observe-web.ts';
export { Tap, type TapOptions } from './tap.ts';
export type { WebPlace } from './web-place.ts';
