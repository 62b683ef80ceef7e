// SPDX-License-Identifier: AGPL-3.0-or-later

import type { LiveEvent, LiveRequest, LiveSearch } from '../api/gen';
import { hear } from './news';

/** State is whether what pages show is up to date. */
export type State = {
  live: boolean;
  /** Since when it is not. */
  lost?: Date;
};

type Listener = (event: LiveEvent) => void;

/** Parts are what a connection is made of; tests have their own. */
export type Parts = {
  open: (address: string) => WebSocket;
  chance: () => number;
  /** refused is called when the session has ended, or may have: a browser does not tell why it can't connect. */
  refused: () => void;
};

const silence = 45_000; // without any event the connection is lost
const longest = 15_000; // between two tries
const unauthenticated = 4401;

/**
 * Live is the one WebSocket of a page. Topics are counted: the server is asked for each as long as somebody listens.
 * A connection that is lost is opened again by itself, and every topic begins anew with its first state, so that
 * nothing final is missed. Searches belong to their connection: with it, they end.
 */
export class Live {
  private readonly parts: Parts;
  private readonly topics = new Map<string, Set<Listener>>();
  private readonly watchers = new Set<() => void>();
  private socket: WebSocket | null = null;
  private state: State = { live: false };
  private running = false;
  private tries = 0;
  private searches = 0;
  private again: ReturnType<typeof setTimeout> | undefined;
  private watchdog: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly address: string,
    parts: Partial<Parts> = {},
  ) {
    this.parts = { open: (a) => new WebSocket(a), chance: Math.random, refused: () => undefined, ...parts };
  }

  /** start connects, and keeps connected until stop. */
  start(): void {
    if (this.running) return;
    this.running = true;
    this.tries = 0;
    this.connect();
  }

  stop(): void {
    this.running = false;
    clearTimeout(this.again);
    this.drop();
    this.become({ live: false });
  }

  /** now returns the state, for useSyncExternalStore: the same object until it changes. */
  now = (): State => this.state;

  watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  /**
   * subscribe shows the events of a topic until the returned function is called. Only the first who subscribes sees the
   * first state: what it says belongs into the cache of queries, from which others read it.
   */
  subscribe(topic: string, listener: Listener): () => void {
    const listeners = this.topics.get(topic) ?? new Set();
    this.topics.set(topic, listeners);
    listeners.add(listener);
    if (listeners.size === 1) this.send({ subscribe: [topic] });
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.topics.get(topic) !== listeners) return;
      this.topics.delete(topic);
      this.send({ unsubscribe: [topic] });
    };
  }

  /** search begins a search, and shows its events; the returned function ends it, at the server too. */
  search(wanted: Omit<LiveSearch, 'id'>, listener: Listener): () => void {
    const id = `s${++this.searches}`;
    const topic = `search:${id}`;
    if (!this.send({ search: { ...wanted, id } })) {
      queueMicrotask(() => listener(searchLost(topic)));
      return () => undefined;
    }
    this.topics.set(topic, new Set([listener]));
    return () => {
      if (this.topics.delete(topic)) this.send({ unsubscribe: [topic] });
    };
  }

  private send(request: LiveRequest): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(request));
    return true;
  }

  private connect(): void {
    const socket = this.parts.open(this.address);
    let opened = false;
    this.socket = socket;
    socket.onopen = () => {
      opened = true;
      this.alive();
      this.tries = 0;
      const topics = [...this.topics.keys()];
      for (let i = 0; i < topics.length; i += 100) this.send({ subscribe: topics.slice(i, i + 100) });
      this.become({ live: true });
    };
    socket.onmessage = (message: MessageEvent<string>) => {
      this.alive();
      this.tell(JSON.parse(message.data) as LiveEvent);
    };
    socket.onclose = (closing) => {
      this.lost();
      if (!opened || closing.code === unauthenticated) this.parts.refused();
    };
  }

  private tell(event: LiveEvent): void {
    const topic = event.topic;
    if (!topic) return;
    const listeners = [...(this.topics.get(topic) ?? [])];
    const over = event.ended ?? (event.found?.done && !event.found.failed);
    if (over && isSearch(topic)) this.topics.delete(topic);
    hear(event);
    for (const listener of listeners) listener(event);
  }

  private alive(): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.lost(), silence);
  }

  private drop(): void {
    clearTimeout(this.watchdog);
    const socket = this.socket;
    this.socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    for (const topic of [...this.topics.keys()].filter(isSearch)) this.tell(searchLost(topic));
  }

  private lost(): void {
    this.drop();
    this.become({ live: false, lost: this.state.lost ?? new Date() });
    if (!this.running) return;
    const wait = Math.min(longest, 500 * 2 ** this.tries++) * (0.5 + this.parts.chance() / 2);
    clearTimeout(this.again);
    this.again = setTimeout(() => this.connect(), wait);
  }

  private become(state: State): void {
    if (state.live === this.state.live && state.lost === this.state.lost) return;
    this.state = state;
    for (const watcher of this.watchers) watcher();
  }
}

const isSearch = (topic: string) => topic.startsWith('search:');

function searchLost(topic: string): LiveEvent {
  const detail = 'The connection to ADIT was lost, and the search with it. Search again.';
  return { topic, ended: { title: 'Not live', status: 0, code: 'unreachable', detail, type: 'about:blank' } };
}
