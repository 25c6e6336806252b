/** The text of a generated page. `source` is the file or folder that it is made from. */
export function page (title: string, source: string, introduction: string, body: string): string {
  return `# ${title}\n\n<!-- \`npm run reference\` writes this page from ${source}. -->\n\n${introduction}\n\n${body}\n`
}

export function table (columns: string[], rows: string[][]): string {
  return [columns, columns.map(() => '---'), ...rows].map(cells => `| ${cells.map(escape).join(' | ')} |`).join('\n')
}

export const code = (text: string): string => `\`${text}\``

/** A cell's text: a bar or a line break would end the cell. */
const escape = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
