// The pages work without this script, but for the live feed, the refreshed tiles and the local times.

const byId = id => document.getElementById(id)
const clock = (date = new Date()) => date.toLocaleTimeString()

for (const time of document.querySelectorAll('main time')) time.textContent = new Date(time.dateTime).toLocaleString()

const tiles = byId('overview')
if (tiles !== null) {
  setInterval(async () => {
    if (document.hidden || tiles.contains(document.activeElement)) return
    const response = await fetch(tiles.dataset.src).catch(() => undefined)
    if (response?.redirected) return window.location.reload() // the log-in has ended
    if (!response?.ok) return
    const isOpen = tiles.querySelector('details').open
    tiles.innerHTML = await response.text()
    tiles.querySelector('details').open = isOpen
  }, 10_000)
}

const feed = byId('feed')
if (feed !== null) follow()

/** Shows the events, and says when some may be missing. */
function follow () {
  const MAX = 500
  const state = byId('feed-state')
  const boxes = [...byId('filter').querySelectorAll('input')]
  const labels = Object.fromEntries(boxes.map(({ value, dataset }) => [value, dataset.label]))
  let lostAt

  const isShown = reason => boxes.some(({ value, checked }) => value === reason && checked)

  function add (className, ...children) {
    const item = document.createElement('li')
    item.className = className
    const time = document.createElement('time')
    time.textContent = clock()
    item.append(time, ...children.map(child => {
      if (typeof child !== 'string') return child
      const text = document.createElement('span')
      text.textContent = child
      return text
    }))
    item.hidden = className in labels && !isShown(className)
    feed.prepend(item)
    while (feed.children.length > MAX) feed.lastChild.remove()
  }

  function setState (isLive) {
    state.textContent = isLive ? 'Live.' : 'Not connected to the events: new ones will be missing here. Trying again…'
    state.classList.toggle('off', !isLive)
    if (!isLive) {
      lostAt ??= new Date()
    } else if (lostAt !== undefined) {
      add('gap', `Events from ${clock(lostAt)} to ${clock()} may be missing.`)
      lostAt = undefined
    }
  }

  function show ({ reason, id, sid }) {
    const name = document.createElement('b')
    name.textContent = labels[reason] ?? reason
    const user = document.createElement('a')
    user.href = `/console/user?${new URLSearchParams({ id })}`
    user.textContent = `User ${id}`
    add(reason, name, user, ...sid === undefined ? [] : [sid])
  }

  byId('filter').addEventListener('change', () => {
    for (const item of feed.children) item.hidden = item.className in labels && !isShown(item.className)
  })

  state.textContent = 'Connecting…'
  // Wait for the first `live` before anything counts as lost.
  let wasLive = false
  const source = new window.EventSource(feed.dataset.src)
  source.addEventListener('live', () => {
    wasLive = true
    setState(true)
  })
  source.addEventListener('gap', () => { if (wasLive) setState(false) })
  source.addEventListener('session', ({ data }) => show(JSON.parse(data)))
  source.addEventListener('error', () => {
    setState(false)
    if (source.readyState === window.EventSource.CLOSED) state.textContent = 'The feed has ended. Reload the page; you may have to log in.'
  })
}
