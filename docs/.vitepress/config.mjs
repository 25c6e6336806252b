import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, posix } from 'node:path'
import { defineConfig } from 'vitepress'
import { pageOf, repository, repositoryFiles } from './repository.mjs'

const read = path => readFileSync(join(repository, path), 'utf8')

/** The sections of docs/README.md, each with the paths of its pages. A page may be outside docs/. */
const sections = read('docs/README.md').split('\n## ').slice(1).map(section => ({
  text: section.slice(0, section.indexOf('\n')),
  pages: [...section.matchAll(/^\| \[[^\]]+\]\((.+?\.md)\) \|/gm)].map(([, path]) => posix.join('docs', path))
}))

// Vue resolves only below docs/, where it is installed, so the build reads copies.
const source = join(repository, 'docs/.vitepress/pages')
rmSync(source, { recursive: true, force: true })
const generated = readdirSync(join(repository, 'docs/reference/packages'), { recursive: true }).filter(path => path.endsWith('.md'))
const pages = ['README.md', 'docs/README.md', ...sections.flatMap(({ pages }) => pages), ...generated.map(path => `docs/reference/packages/${path}`)]
for (const page of pages) {
  const images = [...read(page).matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map(([, path]) => posix.join(posix.dirname(page), path))
  for (const path of [page, ...images]) cpSync(join(repository, path), join(source, path))
}

const files = repositoryFiles(source)

export default defineConfig({
  title: 'refresh-token-service',
  description: 'Refresh tokens done right, on Fastify and Redis',
  cleanUrls: true,
  srcDir: '.vitepress/pages',
  rewrites: pageOf,
  ignoreDeadLinks: [/^http:\/\/localhost/, /^\/files\//],
  markdown: { config: files.connect },
  buildEnd: async ({ outDir }) => { await files.copyTo(outDir) },
  themeConfig: {
    sidebar: [
      { text: 'Introduction', link: '/introduction' },
      ...sections.map(({ text, pages }) => ({
        text,
        items: pages.map(page => ({ text: /^# (.+)$/m.exec(read(page))[1].replaceAll('`', ''), link: `/${pageOf(page).replace(/(index)?\.md$/, '')}` }))
      })),
      { text: 'Packages', items: [{ text: 'Types and functions', link: '/reference/packages/' }] }
    ],
    search: { provider: 'local' },
    outline: [2, 3]
  }
})
