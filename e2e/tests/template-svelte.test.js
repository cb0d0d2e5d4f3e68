import { testTemplate } from '../templates.js'

testTemplate('svelte', { env: 'PUBLIC_', devPort: 5173, scripts: ['check', 'build'], serve: () => ['--env-file=.env.local', 'build'] })
