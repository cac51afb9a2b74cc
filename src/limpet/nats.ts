/** What programs import to choose NATS by themselves: `import { natsEngine } from 'kbus/limpet/nats'`. */
export { type NatsOptions, natsEngine } from './federation/nats.ts';
