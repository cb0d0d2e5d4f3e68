// Prints what a browser loads for each client, minified and compressed: node size/size.js

import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const clients = {
  pocketbase: "import PocketBase from 'pocketbase'; globalThis.client = PocketBase",
  '@picobase/client': "import { createClient } from '../dist/index.js'; globalThis.client = createClient",
  'appwrite, with Account, TablesDB and Storage': "import { Client, Account, TablesDB, Storage } from 'appwrite'; globalThis.client = [Client, Account, TablesDB, Storage]",
  'firebase, with auth and Firestore lite (no realtime)':
    "import { initializeApp } from 'firebase/app'; import { getAuth, signInWithEmailAndPassword } from 'firebase/auth'; import { getFirestore, getDocs, addDoc } from 'firebase/firestore/lite'; globalThis.client = [initializeApp, getAuth, signInWithEmailAndPassword, getFirestore, getDocs, addDoc]",
  '@supabase/supabase-js': "import { createClient } from '@supabase/supabase-js'; globalThis.client = createClient",
}

export async function measure(contents, external = []) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname }, external,
    bundle: true, minify: true, format: 'esm', target: 'es2022', platform: 'browser', write: false, logLevel: 'error',
  })
  const [{ contents: code }] = outputFiles
  return { min: code.length, gzip: gzipSync(code, { level: 9 }).length }
}

if (process.argv[1] == import.meta.filename) {
  const rows = []
  for (const [name, contents] of Object.entries(clients)) {
    try {
      rows.push({ client: name, ...(await measure(contents)) })
    } catch {
      rows.push({ client: name, min: 'not installed: npm ci in size', gzip: '' })
    }
  }
  const alone = await measure(clients['@picobase/client'], ['pocketbase'])
  rows.splice(2, 0, { client: '@picobase/client without pocketbase', ...alone })
  console.table(rows)
}
