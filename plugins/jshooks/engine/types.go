package engine

import _ "embed"

// definitions is kept in step with what the VM offers by TestTypes.
//
//go:embed types.d.ts
var definitions []byte

// Types returns the TypeScript definitions of what hooks find, for editors.
func Types() []byte { return append([]byte(nil), definitions...) }
