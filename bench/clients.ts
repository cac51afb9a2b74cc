// The parts of the peers' npm clients that the bench uses. The clients are not among the devDependencies (see
// peers.mjs), so their own types are not available.

export interface Clients {
  'dbus-next': {
    sessionBus(options: { busAddress: string }): DBus;
    Message: DBusMessageClass;
  };
  ioredis: {
    Redis: new (options: { path: string; lazyConnect: boolean; retryStrategy(): null }) => Redis;
  };
  mqtt: { connectAsync(url: string, options: { reconnectPeriod: number }): Promise<Mqtt> };
  nats: { connect(options: { servers: string; reconnect: boolean }): Promise<Nats> };
  zeromq: {
    Router: new () => ZmqSocket & AsyncIterable<[from: Buffer, data: Buffer]>;
    Dealer: new () => ZmqSocket & AsyncIterable<[data: Buffer]>;
    Pull: new () => ZmqSocket & AsyncIterable<[data: Buffer]>;
    Subscriber: new () => ZmqSocket & AsyncIterable<[data: Buffer]> & { subscribe(): void };
    Push: new (options: { sendHighWaterMark: number }) => ZmqSocket;
    XPublisher: new (options: {
      sendHighWaterMark: number;
      noDrop: boolean;
      verbosity: 'allSubs';
    }) => ZmqSocket & { receive(): Promise<Buffer[]> };
  };
}

export interface DBus {
  once(event: 'connect', connected: () => void): void;
  once(event: 'error', failed: (error: Error) => void): void;
  on(event: 'message', heard: (message: DBusMessage) => void): void;
  addMethodHandler(handler: (message: DBusMessage) => boolean): void;
  requestName(name: string, flags: number): Promise<number>;
  call(message: DBusMessage): Promise<DBusMessage>;
  send(message: DBusMessage): void;
}

export interface DBusMessage {
  path: string;
  /** The bench sends bodies of one value. */
  body: [data: Buffer];
}

interface DBusMessageClass {
  new (fields: {
    destination: string;
    path: string;
    interface: string;
    member: string;
    signature?: string;
    body?: (string | Buffer)[];
  }): DBusMessage;
  newMethodReturn(to: DBusMessage, signature: string, body: Buffer[]): DBusMessage;
  newSignal(
    path: string,
    name: string,
    member: string,
    signature: string,
    body: Buffer[],
  ): DBusMessage;
}

interface Redis {
  connect(): Promise<void>;
  on(event: 'messageBuffer', heard: (channel: Buffer, data: Buffer) => void): void;
  on(
    event: 'pmessageBuffer',
    heard: (pattern: Buffer, channel: Buffer, data: Buffer) => void,
  ): void;
  subscribe(channel: string): Promise<unknown>;
  psubscribe(pattern: string): Promise<unknown>;
  publish(channel: string, data: Buffer): Promise<number>;
}

interface Mqtt {
  on(event: 'message', heard: (topic: string, data: Buffer) => void): void;
  subscribeAsync(topic: string, options: { qos: 0 | 1 }): Promise<unknown>;
  publish(topic: string, data: Buffer): void;
  publishAsync(topic: string, data: Buffer, options: { qos: 0 | 1 }): Promise<unknown>;
}

interface Nats {
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: NatsMessage) => void },
  ): void;
  request(subject: string, data: Buffer, options: { timeout: number }): Promise<NatsMessage>;
  publish(subject: string, data: Buffer): void;
  flush(): Promise<void>;
}

interface NatsMessage {
  data: Uint8Array;
  respond(data: Uint8Array): boolean;
}

export interface ZmqSocket {
  bind(address: string): Promise<void>;
  connect(address: string): void;
  send(message: Buffer | Buffer[]): Promise<void>;
}
