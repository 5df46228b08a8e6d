/** GraphiQL with a session bar: the page people meet at /graphql. */
import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './style.css';

import { useMonaco } from '@graphiql/react';
import { GraphiQL } from 'graphiql';
import { StrictMode, useSyncExternalStore } from 'react';
import { createRoot } from 'react-dom/client';

import { createFetcher } from './fetcher';
import { labels, locale } from './labels';
import { SessionBar } from './SessionBar';
import { SessionStore } from './session';
import { defaultTabs, initialContents } from './tabs';

const session = new SessionStore(window.sessionStorage);
const fetcher = createFetcher(session);

function Page() {
  const current = useSyncExternalStore(session.subscribe, () => session.current);
  // The editors arrive after the page. Until then GraphiQL would run nothing, and say nothing; and a tab chosen meanwhile would
  // be filled with the first one's text.
  const isReady = useMonaco(({ monaco }) => Boolean(monaco));
  return (
    <>
      <SessionBar session={session} current={current} />
      <main aria-label={labels.editors} aria-busy={!isReady} inert={!isReady}>
        {/* sessionStorage: a password typed into a query does not stay behind on this machine. */}
        <GraphiQL
          fetcher={fetcher}
          defaultTabs={defaultTabs}
          {...initialContents}
          storage={window.sessionStorage}
          defaultEditorToolsVisibility="variables"
        >
          <GraphiQL.Logo>SalesPad</GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  );
}

document.documentElement.lang = locale;
const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Page />
    </StrictMode>,
  );
}
