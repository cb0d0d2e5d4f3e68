import { testTemplate } from '../templates.js'

testTemplate('next', {
  env: 'NEXT_PUBLIC_',
  devPort: 3000,
  scripts: ['build'], // checks the types
  serve: (port) => ['node_modules/next/dist/bin/next', 'start', '--hostname', '127.0.0.1', '--port', port],
})
