/** The measuring that `kbus bench` and the benchmark share. */
export { type Announced, type Announcer, type Announcing, announcing } from './announcing.ts';
export { type Ask, type Asked, asking, type Hear } from './asking.ts';
export { Child, ChildError, ended } from './child.ts';
export { inFigures } from './figures.ts';
export { forked, stackOf } from './forked.ts';
export { type Heard, hearing } from './hearing.ts';
export { Latency } from './latency.ts';
export { MIN_SIZE } from './stamp.ts';
