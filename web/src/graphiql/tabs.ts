/** The tabs a first visit opens with: a walk from "no account" to an answered message, a worked board, a bulk send and the
 * figures of it all, each saying what to do next. */
import { dashboard } from './tabs/figures';
import { inbox, messageAdded, sendMessage, startConversation } from './tabs/inbox';
import { board, duplicates, feed, importLeads, importProgress, leads, signUp, startCsvImport } from './tabs/leads';
import { automations, scores } from './tabs/rules';
import { bulkSend, bulkSendProgress, templates } from './tabs/sends';

export const defaultTabs = [
  signUp,
  importLeads,
  importProgress,
  startCsvImport,
  leads,
  feed,
  startConversation,
  sendMessage,
  messageAdded,
  inbox,
  board,
  duplicates,
  templates,
  bulkSend,
  bulkSendProgress,
  automations,
  scores,
  dashboard,
];

/**
 * What the editors begin with. On a first visit GraphiQL would leave the first tab's variables out; after a reload it compares
 * what it kept of the editors with what it kept of the tabs, and when the one was written a moment before the other, it opens
 * one tab more.
 */
export const initialContents = readActiveTab() ?? { initialQuery: signUp.query, initialVariables: signUp.variables };

function readActiveTab(): { initialQuery: string; initialVariables: string } | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem('graphiql:tabState') ?? 'null') as KeptTabs | null;
    const active = kept?.tabs[kept.activeTabIndex];
    return active ? { initialQuery: active.query ?? '', initialVariables: active.variables ?? '' } : null;
  } catch {
    return null;
  }
}

interface KeptTabs {
  activeTabIndex: number;
  tabs: { query?: string | null; variables?: string | null }[];
}
