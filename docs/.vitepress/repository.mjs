import { cp, mkdir } from 'node:fs/promises'
import { dirname, join, posix, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** `SECURITY.md` and `docs/security.md` would have one name on a file system without upper case. */
const names = { 'README.md': 'introduction.md', 'SECURITY.md': 'reporting.md' }

/** The path on the site of a Markdown file of the repository: of `docs/keys.md`, `keys.md`. */
export function pageOf (file) {
  return names[file] ?? file.replace(/^docs\//, '').replace(/(^|\/)README\.md$/, '$1index.md')
}

/**
 * `source` is a folder with the pages at their paths of the repository. Links in Markdown are paths of the repository, so that they work on
 * GitHub. `connect` adds a rule to markdown-it that makes them links of the site: to a page, or to a copy of any other file. `copyTo` makes
 * the copies.
 */
export function repositoryFiles (source) {
  const linked = new Set()
  return {
    connect (md) {
      md.core.ruler.push('repository-links', ({ tokens, env }) => {
        const folder = posix.dirname(relative(source, env.realPath ?? env.path))
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          const href = token.type === 'link_open' ? token.attrGet('href') : '#'
          if (!/^(#|[a-z]+:)/.test(href)) token.attrSet('href', siteLink(folder, href))
        }
      })
      // Vue would evaluate double braces.
      const { code_inline: inline } = md.renderer.rules
      md.renderer.rules.code_inline = (...args) => inline(...args).replace('<code', '<code v-pre')
    },

    async copyTo (outDir) {
      for (const file of linked) {
        const target = join(outDir, 'files', file)
        await mkdir(dirname(target), { recursive: true })
        await cp(join(repository, file), target, { recursive: true })
      }
    }
  }

  function siteLink (folder, href) {
    const [path, ...anchor] = href.split(/(?=#)/)
    const file = posix.join(folder, path)
    if (file.endsWith('.md')) return `/${pageOf(file)}${anchor.join('')}`
    linked.add(file)
    return `/files/${file}`
  }
}
