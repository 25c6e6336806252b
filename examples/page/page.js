import { call, logIn, logOut, session } from './session.js'

const [form, main, output] = ['form', 'main', 'output'].map(name => document.querySelector(name))

/** Shows the log-in form or the product, even when another tab logged in or out. */
function show () {
  const current = session()
  form.hidden = current !== null
  main.hidden = current === null
  main.querySelector('b').textContent = current?.email
  if (current === null) output.value = ''
}

/** Runs `action` on an event and shows its result or error. */
function on (target, type, action) {
  target.addEventListener(type, async event => {
    event.preventDefault()
    output.value = '…'
    output.value = await action().catch(err => err.message)
  })
}

on(form, 'submit', async () => {
  await logIn(form.email.value, form.password.value)
  form.reset()
  return 'Welcome.'
})
for (const button of main.querySelectorAll('[value]')) {
  on(button, 'click', async () => {
    const response = await call(button.value)
    return `${response.status} ${await response.text()}`
  })
}
on(main.querySelector('#logout'), 'click', async () => {
  await logOut()
  return 'Good-bye.'
})

window.addEventListener('storage', show)
show()
