import { createSession, webStorage } from './refresh-token-client.js'

// The tokens are in localStorage, which all tabs share and every script of this origin can read: an injected script (XSS) could
// steal them. Hence the page's Content-Security-Policy, and no foreign scripts. For more protection, a product keeps the refresh
// token in an HttpOnly cookie of its own server, which refreshes for the page.
const { localStorage } = window
localStorage.deviceId ??= crypto.randomUUID()
const session = createSession({ refreshUrl: '/api/ps/refresh', deviceId: localStorage.deviceId, storage: webStorage() })

const [form, main, output] = ['form', 'main', 'output'].map(name => document.querySelector(name))

/** Shows the log-in form or the product. */
function show (profile) {
  form.hidden = profile !== null
  main.hidden = profile === null
  main.querySelector('b').textContent = profile?.email
  if (profile === null) output.value = ''
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
on(main.querySelector('#logout'), 'click', async () => {
  const isConfirmed = await session.logOut().then(() => true, () => false)
  return isConfirmed ? 'Good-bye.' : 'Logged out here. The service gave no answer: end this session from another device.'
})

// Also when another tab logs in or out.
session.subscribe(({ profile }) => show(profile))
show(await session.getProfile())
