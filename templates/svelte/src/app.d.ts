import type { PicoBaseClient } from '@picobase/client'
import type { Schema } from './picobase'

declare global {
  namespace App {
    interface Locals {
      pb: PicoBaseClient<Schema>
      user: Schema['users']['Row'] | null
    }
  }
}
