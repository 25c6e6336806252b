/** Grafana's colour names as far as the dashboard has them, in tones that stand on white and on black. */
export const colors: Record<string, string> = {
  green: '#4a9f45',
  blue: '#3f7fe0',
  purple: '#a05cc9',
  red: '#e0334a',
  orange: '#f0801f',
  yellow: '#d3a206',
  text: '#8a8d93',
  'light-blue': '#7fb2e5',
  'dark-red': '#a8122a',
  'dark-orange': '#b85a0c',
  'dark-purple': '#7a3fa6',
  'dark-yellow': '#9c7a08',
  'semi-dark-blue': '#2f9fb8'
}

/** For series that the dashboard gives no colour. */
export const palette = ['green', 'blue', 'orange', 'purple', 'yellow', 'semi-dark-blue', 'red', 'text']

/** The reader's page decides between light and dark. */
export const style = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .heading { font-size: 17px; font-weight: 600 }
  .title { font-size: 13px; font-weight: 600 }
  .axis { font-size: 11px; fill: #61666d }
  .legend { font-size: 11px }
  .page { fill: #f4f5f5 }
  .panel { fill: #ffffff; stroke: #e1e3e6 }
  .grid { stroke: #e7e8ea; fill: none }
  .mark { fill: #61666d; opacity: .22 }
  .line { fill: none; stroke-width: 1.6; stroke-linejoin: round }
  .area { stroke: none }
  ${Object.entries(colors).map(([name, color]) => `.line.${name} { stroke: ${color} } .area.${name} { fill: ${color} }`).join('\n  ')}
  @media (prefers-color-scheme: dark) {
    text { fill: #d8d9da }
    .axis { fill: #9fa4ab }
    .page { fill: #0f1115 }
    .panel { fill: #181b1f; stroke: #2a2d33 }
    .grid { stroke: #2c2f35 }
    .mark { fill: #b5b9c0 }
  }
`
