import { iso } from '#src/sessions/listed'
import type { SessionSummary, StoredUser } from '#src/sessions/replies'
import { html, type Html } from './html.ts'
import { framedPage, type Frame } from './pages.ts'

/** The address of the page about a user. */
export function userUrl (id: string, more: Record<string, string> = {}): string {
  return `/console/user?${new URLSearchParams({ id, ...more })}`
}

/** The address of the question before sessions end. */
function endUrl (id: string, which: 'one' | 'others' | 'all', sid?: string): string {
  return `/console/end?${new URLSearchParams({ id, which, ...sid !== undefined && { sid } })}`
}

const notices: Record<string, string> = {
  one: 'The session has ended.', others: 'Every other session has ended.', all: 'Every session has ended.'
}

/** A user's profile and sessions; `ended`: the sessions that the person has just ended, for a notice. */
export function userPage (frame: Frame, id: string, stored: StoredUser | undefined, ended?: string): string {
  const sessions = stored?.sessions ?? []
  const { email, role, c } = stored?.record ?? {}
  return framedPage(`User ${id}`, html`${notices[ended ?? ''] && html`<p role="status" class="notice">${notices[ended!]}</p>`}
${stored === undefined
  ? html`<p>Nothing is stored about this user: there is no session.</p>`
  : html`<dl class="card">${entry('E-mail', email)}${entry('Role', role)}${c && entry('Claims', claims(c))}</dl>`}
${sessions.length > 0 && html`<div class="title"><h2>${sessions.length === 1 ? '1 session' : `${sessions.length} sessions`}</h2>
<a class="button danger" href="${endUrl(id, 'all')}">End all</a></div>
<ul class="sessions">${sessions.map(session => row(id, session, stored!.record, sessions.length))}</ul>`}`, frame)
}

function row (id: string, { sid, label, gen, createdAt, rotatedAt, expiresAt }: SessionSummary, record: StoredUser['record'], count: number): Html {
  const name = label ?? 'Without a label'
  return html`<li class="card"><h3>${name}</h3><dl>
${entry('Last used', time(rotatedAt))}${entry('Created', time(createdAt))}${entry('Expires', time(expiresAt))}${entry('Generation', gen)}
${record[`o:${sid}`] && entry('OAuth client', record[`o:${sid}`])}${record[`k:${sid}`] && entry('Bound to key', record[`k:${sid}`])}
${record[`c:${sid}`] && entry('Claims', claims(record[`c:${sid}`]!))}${entry('Session id', html`<code>${sid}</code>`)}</dl>
<p class="actions"><a class="button" href="${endUrl(id, 'one', sid)}" aria-label="End this: ${name}">End this</a>
${count > 1 && html` <a class="button" href="${endUrl(id, 'others', sid)}" aria-label="End all others than ${name}">End all others</a>`}</p></li>`
}

function entry (name: string, value: unknown): Html {
  return html`<div><dt>${name}</dt><dd>${value === undefined || value === '' ? '–' : value}</dd></div>`
}

/** A time that the page's script shows in the person's own time zone. */
function time (seconds: number): Html {
  return html`<time datetime="${iso(seconds)}">${iso(seconds).replace(/T(.*)\.000Z/, ' $1 UTC')}</time>`
}

function claims (json: string): Html {
  return html`<code>${json}</code>`
}
