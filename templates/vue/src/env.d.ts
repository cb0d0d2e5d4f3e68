interface ImportMetaEnv {
  readonly VITE_PICOBASE_URL?: string
  readonly VITE_PICOBASE_API_KEY?: string
}
