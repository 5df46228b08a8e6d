/**
 * The one session of this browser tab: kept in sessionStorage, renewed before its access token runs out, observable by React.
 * A refresh token works once, so renewals share one request.
 */
import * as api from './api';

const KEY = 'salespad.session';
const RENEW_BEFORE_MS = 60_000;
const GUESSED_LIFE_MS = 10 * 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface Session {
  accessToken: string;
  refreshToken: string | null;
  /** By this machine's clock, in milliseconds. */
  renewAt: number;
  expiresAt: number;
  who: string;
  workspace: string;
}

type Listener = () => void;

export class SessionStore {
  current: Session | null = null;
  hasEnded = false;
  private readonly listeners = new Set<Listener>();
  private renewal: Promise<void> | null = null;
  private timer: number | undefined;

  constructor(private readonly storage: Storage) {
    this.set(readSession(storage));
  }

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** A token that is good for now, or null when nobody is signed in. */
  async token(): Promise<string | null> {
    if (this.current && Date.now() >= this.current.renewAt) await this.renew();
    return this.current?.accessToken ?? null;
  }

  /** Takes a session from wherever it came: the form, a renewal, or a mutation run in the editor. */
  adopt(wire: api.WireSession, clockOffset: number): void {
    if (wire.accessToken === this.current?.accessToken) return;
    this.hasEnded = false;
    const fresh = toSession(wire, clockOffset);
    if (this.current && sessionOf(fresh) === sessionOf(this.current)) fresh.refreshToken ??= this.current.refreshToken;
    this.set(fresh);
    if (!wire.viewer?.user?.email) void this.learnWho(wire.accessToken);
  }

  /** Renews now. A refusal ends the session; an API that does not answer leaves it for the next try. */
  renew(): Promise<void> {
    this.renewal ??= this.renewOnce().finally(() => {
      this.renewal = null;
    });
    return this.renewal;
  }

  async signOut(): Promise<void> {
    const leaving = this.current;
    this.hasEnded = false;
    this.set(null);
    if (leaving?.refreshToken) await api.signOut(leaving.refreshToken, leaving.accessToken).catch(() => undefined);
  }

  private async renewOnce(): Promise<void> {
    const old = this.current;
    if (!old) return;
    try {
      if (!old.refreshToken) {
        if (Date.now() < old.expiresAt) return;
        throw new api.Refused();
      }
      const { data, clockOffset } = await api.refreshSession(old.refreshToken);
      if (this.current === old) this.adopt(data, clockOffset);
    } catch (error) {
      if (!(error instanceof api.Refused)) return this.plan(RENEW_BEFORE_MS / 4);
      if (this.current !== old) return;
      this.hasEnded = true;
      this.set(null);
    }
  }

  private async learnWho(token: string): Promise<void> {
    const viewer = await api.askViewer(token).catch(() => undefined);
    if (this.current?.accessToken !== token || !viewer) return;
    this.set({ ...this.current, who: viewer.user?.email ?? '', workspace: viewer.workspace?.name ?? '' });
  }

  private set(session: Session | null): void {
    this.current = session;
    if (session) this.storage.setItem(KEY, JSON.stringify(session));
    else this.storage.removeItem(KEY);
    if (session) this.plan((session.refreshToken ? session.renewAt : session.expiresAt) - Date.now());
    else window.clearTimeout(this.timer);
    for (const listener of this.listeners) listener();
  }

  private plan(delay: number): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.renew(), Math.min(Math.max(delay, 0), LONGEST_TIMER_MS));
  }
}

function toSession(wire: api.WireSession, clockOffset: number): Session {
  const now = Date.now();
  const told = Date.parse(wire.expiresAt ?? '') - clockOffset;
  const expiresAt = Number.isNaN(told) ? now + GUESSED_LIFE_MS : told;
  const margin = Math.min(RENEW_BEFORE_MS, (expiresAt - now) / 4);
  return {
    accessToken: wire.accessToken,
    refreshToken: wire.refreshToken ?? null,
    renewAt: expiresAt - margin,
    expiresAt,
    who: wire.viewer?.user?.email ?? '',
    workspace: wire.viewer?.workspace?.name ?? '',
  };
}

/** The id in an access token: switchWorkspace answers with a fresh one of the same session, whose refresh token goes on. */
function sessionOf({ accessToken }: Session): unknown {
  try {
    return JSON.parse(atob((accessToken.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/'))).sid;
  } catch {
    return accessToken;
  }
}

function readSession(storage: Storage): Session | null {
  try {
    return JSON.parse(storage.getItem(KEY) ?? 'null') as Session | null;
  } catch {
    return null;
  }
}
