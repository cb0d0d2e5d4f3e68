// Builds dist: esbuild for the code, tsdown for the declarations.

import { rm } from 'node:fs/promises'
import { build as bundle } from 'esbuild'
import { build as declare } from 'tsdown'

const entry = { index: 'src/index.ts', ssr: 'src/ssr.ts', oauth: 'src/oauth.ts', node: 'src/node.ts' }
const own = '@picobase/client' // the subpaths import the core as its users do

await rm('dist', { recursive: true, force: true })

const common = {
  entryPoints: entry,
  outdir: 'dist',
  bundle: true,
  target: 'es2022',
  platform: 'neutral',
  sourcemap: true,
  // What is private need not keep its name: it is a tenth of the size.
  mangleProps: /^_[a-z]/,
}
await bundle({ ...common, format: 'esm', external: ['pocketbase', own, 'node:*'] })
await bundle({
  ...common,
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  // pocketbase has no CommonJS build with its named exports, so ours carries it.
  external: [own, 'node:*'],
  define: { 'import.meta.env': 'undefined' },
})

const declarations = { entry, outDir: 'dist', clean: false, dts: { emitDtsOnly: true }, platform: 'neutral', logLevel: 'error' }
await declare({ ...declarations, format: 'esm', deps: { neverBundle: ['pocketbase', own] } })
await declare({ ...declarations, format: 'cjs', deps: { alwaysBundle: ['pocketbase'], onlyBundle: ['pocketbase'], neverBundle: [own] } })
