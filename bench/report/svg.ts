/** The shapes needed for plots that are readable on light and dark pages. */

export interface Box { x: number, y: number, width: number, height: number }

const escape = (text: string): string => text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)

const round = (value: number): string => String(Math.round(value * 10) / 10)

export function text (x: number, y: number, content: string, classes = '', anchor: 'start' | 'middle' | 'end' = 'start'): string {
  return `<text x="${round(x)}" y="${round(y)}" class="${classes}" text-anchor="${anchor}">${escape(content)}</text>`
}

export function bar ({ x, y, width, height }: Box, classes = ''): string {
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(Math.max(width, 1))}" height="${round(height)}" rx="2" class="${classes}"/>`
}

export function line (points: Array<[x: number, y: number]>, classes = ''): string {
  return `<polyline points="${points.map(point => point.map(round).join(',')).join(' ')}" class="${classes}"/>`
}

export function dot (x: number, y: number, radius: number, classes = ''): string {
  return `<circle cx="${round(x)}" cy="${round(y)}" r="${radius}" class="${classes}"/>`
}

/** Light by default, dark if the reader prefers it. The plot has its own background, so that it fits any page. */
const STYLE = `
  svg { --ground: #ffffff; --ink: #1f2937; --soft: #6b7280; --rule: #e5e7eb; --ours: #2563eb; --other: #94a3b8; --goal: #b45309 }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #0f172a; --ink: #e5e7eb; --soft: #9ca3af; --rule: #334155; --ours: #60a5fa; --other: #64748b; --goal: #fbbf24 }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink) }
  .title { font-size: 16px; font-weight: 600 } .soft { fill: var(--soft); font-size: 12px } .strong { font-weight: 600 }
  .goal-text { fill: var(--goal); font-size: 12px } .ground { fill: var(--ground) }
  rect.ours, circle.ours { fill: var(--ours) } rect.other, circle.other { fill: var(--other) }
  circle.hollow { fill: var(--ground); stroke-width: 2 } circle.hollow.ours { stroke: var(--ours) } circle.hollow.other { stroke: var(--other) }
  polyline { fill: none; stroke: var(--rule); stroke-width: 1 } polyline.ours { stroke: var(--ours); stroke-width: 2.5 }
  polyline.other { stroke: var(--other); stroke-width: 2.5 } polyline.goal { stroke: var(--goal); stroke-width: 1.5; stroke-dasharray: 5 4 }
  polyline.spread { stroke: var(--ink); stroke-width: 1.5 }`

/** `description` is the text for screen readers. */
export function picture (title: string, description: string, width: number, height: number, shapes: string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escape(title)}</title>
<desc>${escape(description)}</desc>
<style>${STYLE}
</style>
<rect width="${width}" height="${height}" rx="8" class="ground"/>
${text(24, 32, title, 'title')}
${shapes.join('\n')}
</svg>
`
}
