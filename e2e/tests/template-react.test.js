import { testTemplate, vite } from '../templates.js'

testTemplate('react', { env: 'VITE_', devPort: 5173, scripts: ['build'], serve: vite }) // the build checks the types
