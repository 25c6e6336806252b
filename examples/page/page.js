import { createSession, webStorage } from './refresh-token-client.js'
import { follow } from './follow.js'

// The tokens are in localStorage, which all tabs share and every script of this origin can read: an injected script (XSS) could
// steal them. Hence the page's Content-Security-Policy, and no foreign scripts. For more protection, a product keeps the refresh
// token in an HttpOnly cookie of its own server, which refreshes for the page.
const { localStorage } = window
localStorage.deviceId ??= crypto.randomUUID()
const session = createSession({ refreshUrl: '/api/ps/refresh', deviceId: localStorage.deviceId, storage: webStorage() })

const [form, main, list, output, template] = ['form', 'main', 'ul', 'output', 'template'].map(name => document.querySelector(name))
const logoutButton = document.querySelector('#logout')

let leave = () => {}

/** Shows the log-in form or the product. */
function show (profile) {
  form.hidden = profile !== null
  main.hidden = logoutButton.hidden = profile === null
  main.querySelector('b').textContent = profile?.email
  leave()
  if (profile === null) output.value = ''
  else leave = follow(session, '/api/events', showDevices)
}

const messages = { 'logged-out': 'Please log in.', unavailable: 'No answer just now. Please try again.' }

/** Runs `action` on an event and shows its result or error. */
function on (target, type, action) {
  target.addEventListener(type, async event => {
    event.preventDefault()
    output.value = '…'
    output.value = await action().catch(err => messages[err.code ?? 'unavailable'])
  })
}

/** Lists the devices. For an ended session this finds a 401, then the refresh a 400, and `show` shows the form. */
async function showDevices () {
  const response = await session.fetch('/api/ps/sessions')
  if (!response.ok) return
  const { sessions } = await response.json()
  list.replaceChildren(...sessions.map(({ sid, label, lastUsedAt, current }) => {
    const item = template.content.cloneNode(true)
    const [name, mark, time, button] = ['strong', 'mark', 'time', 'button'].map(tag => item.querySelector(tag))
    name.textContent = label ?? 'A device'
    mark.hidden = !current
    time.dateTime = lastUsedAt
    time.textContent = new Date(lastUsedAt).toLocaleString()
    button.hidden = current
    button.setAttribute('aria-label', `Log out ${name.textContent}`)
    on(button, 'click', async () => await end(`/${sid}`))
    return item
  }))
}

async function end (path) {
  const { ok } = await session.fetch(`/api/ps/sessions${path}`, { method: 'DELETE' })
  if (ok) await showDevices()
  return ok ? 'Logged out there.' : messages.unavailable
}

on(form, 'submit', async () => {
  const body = JSON.stringify({ email: form.email.value, password: form.password.value, deviceId: localStorage.deviceId })
  const response = await fetch('/login', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body })
  if (response.status === 401) return 'Wrong e-mail or password.'
  await session.logIn(await response.json())
  form.reset()
  return 'Welcome.'
})
for (const button of main.querySelectorAll('[value]')) {
  on(button, 'click', async () => {
    const response = await session.fetch(button.value)
    return `${response.status} ${await response.text()}`
  })
}
on(main.querySelector('#others'), 'click', async () => await end(''))
on(logoutButton, 'click', async () => {
  const isConfirmed = await session.logOut().then(() => true, () => false)
  return isConfirmed ? 'Good-bye.' : 'Logged out here. The service gave no answer: end this session from another device.'
})

// Also when another tab logs in or out.
let shown
session.subscribe(({ type, profile }) => { if (type !== 'refreshed') show(shown = profile) })
show(shown ?? await session.getProfile())
