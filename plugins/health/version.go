package health

import (
	"runtime/debug"
	"sync"
)

const pocketbaseModule = "github.com/pocketbase/pocketbase"

// pocketbaseVersion returns the version of the PocketBase module in this
// binary, "unknown" when the build does not tell.
var pocketbaseVersion = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return versionOf(info.Deps, pocketbaseModule)
})

func versionOf(modules []*debug.Module, path string) string {
	for _, module := range modules {
		if module.Path != path {
			continue
		}
		if module.Replace != nil {
			module = module.Replace
		}
		if module.Version != "" {
			return module.Version
		}
	}
	return "unknown"
}
