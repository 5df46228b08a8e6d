/** The bar above GraphiQL: sign in, create an account, see who is signed in, sign out. */
import { type FormEvent, type RefObject, useEffect, useRef, useState } from 'react';

import * as api from './api';
import { labels, locale } from './labels';
import type { Session, SessionStore } from './session';

export function SessionBar({ session, current }: { session: SessionStore; current: Session | null }) {
  const hadSession = useRef(current !== null);
  const firstControl = useRef<HTMLElement>(null);
  // Keep the keyboard's place when the form and the "signed in" line replace each other.
  useEffect(() => {
    const hasSession = current !== null;
    const focusIsFree = document.activeElement === null || document.activeElement === document.body;
    if (hadSession.current !== hasSession && focusIsFree) firstControl.current?.focus();
    hadSession.current = hasSession;
  }, [current]);
  return (
    <header className="session-bar" aria-label={labels.bar}>
      <strong className="session-brand">SalesPad API</strong>
      <p className="session-status" role="status">
        {current ? labels.signedInAs(current.who || labels.someone, current.workspace) : session.hasEnded ? labels.expired : labels.signedOut}
      </p>
      {current ? (
        <SignedIn session={session} current={current} button={firstControl as RefObject<HTMLButtonElement>} />
      ) : (
        <SignInForm session={session} first={firstControl as RefObject<HTMLInputElement>} />
      )}
    </header>
  );
}

function SignedIn({ session, current, button }: { session: SessionStore; current: Session; button: RefObject<HTMLButtonElement> }) {
  const time = new Date(current.expiresAt).toLocaleTimeString(locale, { hour: '2-digit', minute: '2-digit' });
  return (
    <>
      <span className="session-hint">{current.refreshToken ? labels.keptUntil(time) : labels.endsAt(time)}</span>
      <button ref={button} type="button" onClick={() => void session.signOut()}>
        {labels.signOut}
      </button>
    </>
  );
}

type Mode = 'signIn' | 'signUp';

function SignInForm({ session, first }: { session: SessionStore; first: RefObject<HTMLInputElement> }) {
  const [mode, setMode] = useState<Mode>('signIn');
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    setBusy(true);
    setProblem('');
    try {
      const { data, clockOffset } = await askForSession(mode, (name) => String(fields.get(name) ?? ''));
      session.adopt(data, clockOffset);
    } catch (error) {
      setProblem(error instanceof api.Refused ? error.message : labels.unreachable);
      setBusy(false);
    }
  }

  const isSignUp = mode === 'signUp';
  return (
    <form className="session-form" onSubmit={(event) => void submit(event)} aria-busy={isBusy}>
      <Field name="email" label={labels.email} type="email" autoComplete="username" inputRef={first} />
      <Field name="password" label={labels.password} type="password" autoComplete={isSignUp ? 'new-password' : 'current-password'} />
      {isSignUp && <Field name="name" label={labels.name} autoComplete="name" />}
      {isSignUp && <Field name="workspaceName" label={labels.workspaceName} autoComplete="organization" />}
      <button type="submit" className="session-primary" disabled={isBusy}>
        {isBusy ? labels.busy : isSignUp ? labels.createAccount : labels.signIn}
      </button>
      <button type="button" className="session-link" onClick={() => setMode(isSignUp ? 'signIn' : 'signUp')}>
        {isSignUp ? labels.haveAccount : labels.noAccount}
      </button>
      {!isSignUp && (
        <a className="session-link" href="/forgot-password">
          {labels.forgot}
        </a>
      )}
      <p className="session-problem" role="alert">
        {problem}
      </p>
    </form>
  );
}

function askForSession(mode: Mode, field: (name: string) => string) {
  const credentials = { email: field('email'), password: field('password') };
  if (mode === 'signIn') return api.signIn(credentials);
  return api.signUp({ ...credentials, name: field('name'), workspaceName: field('workspaceName'), locale });
}

interface FieldProps {
  name: string;
  label: string;
  type?: string;
  autoComplete: string;
  inputRef?: RefObject<HTMLInputElement>;
}

function Field({ name, label, type = 'text', autoComplete, inputRef }: FieldProps) {
  return (
    <label className="session-field">
      <span>{label}</span>
      <input ref={inputRef} name={name} type={type} autoComplete={autoComplete} required />
    </label>
  );
}
