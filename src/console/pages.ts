import { html, type Html } from './html.ts'
import { overview } from './overview.ts'
import type { History } from './history.ts'

/** What every page of a logged-in person shows. */
export interface Frame {
  caller: string
  /** The user id in the search field. */
  search?: string
}

function page (title: string, body: Html, frame?: Frame): string {
  return '<!doctype html>\n' + html`<html lang="en"><head><meta charset="utf-8"><title>${title} · refresh-token-service</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><link rel="stylesheet" href="/console/console.css">
<script type="module" src="/console/console.js"></script></head><body>
<a class="skip" href="#main">Skip to the content</a>
<header><a class="brand" href="/console">Console</a>${frame !== undefined && html`
<search><form action="/console/user"><label for="search">User id</label><input id="search" name="id" required maxlength="128" autocomplete="off"
spellcheck="false" value="${frame.search}"><button>Search</button></form></search>
<form method="post" action="/console/logout"><span>${frame.caller}</span><button class="plain">Log out</button></form>`}</header>
<main id="main" tabindex="-1"><h1>${title}</h1>${body}</main></body></html>`.html
}

export function loginPage (isWrong: boolean): string {
  return page('Log in', html`<form class="card" method="post" action="/console/login">
${isWrong && html`<p role="alert" id="wrong">This key is unknown, or lacks the scope <code>console</code>.</p>`}
<label for="key">API key with the scope <code>console</code></label>
<input id="key" name="key" type="password" required maxlength="1024" autocomplete="current-password"${isWrong && html` aria-describedby="wrong" aria-invalid="true"`}>
<button>Log in</button></form>`)
}

const reasons = {
  opened: 'Opened', logout: 'Log-out', reuse: 'Reuse', replaced: 'Replaced', evicted: 'Evicted', expired: 'Expired', profile: 'Profile changed'
}

export function overviewPage (frame: Frame, history: History, name: string): string {
  return page('Now', html`<section aria-labelledby="hour"><h2 id="hour">The last hour <small>of this process alone: ${name}</small></h2>
<div id="overview" data-src="/console/overview">${overview(history)}</div></section>
<section aria-labelledby="feed-title"><h2 id="feed-title">Live <small>through every process</small></h2>
<p id="feed-state" role="status">The feed needs JavaScript.</p>
<fieldset id="filter"><legend>Show</legend>${Object.entries(reasons).map(([reason, label]) => html`
<label><input type="checkbox" value="${reason}" data-label="${label}" checked> ${label}</label>`)}</fieldset>
<ol id="feed" tabindex="0" aria-label="Events, the latest first" data-src="/console/events"></ol></section>`, frame)
}

/** A page that asks before something ends. */
export function confirmPage (frame: Frame, { question, action, cancel, fields }: {
  question: string, action: string, cancel: string, fields: Record<string, string>
}): string {
  return page(action, html`<form class="card" method="post" action="/console/end"><p>${question}</p>
${Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<p class="soft">This can't be undone. The audit trail names you: <b>${frame.caller}</b>.</p>
<p class="actions"><button class="danger">${action}</button> <a class="button" href="${cancel}">Cancel</a></p></form>`, frame)
}

export function messagePage (title: string, message: string, frame?: Frame): string {
  return page(title, html`<p>${message}</p><p><a href="/console">Back to the console</a></p>`, frame)
}

/** A page with a body of its own. */
export function framedPage (title: string, body: Html, frame: Frame): string {
  return page(title, body, frame)
}
