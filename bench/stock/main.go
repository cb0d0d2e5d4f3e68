// Command stock is PocketBase exactly as its authors ship it: no plugin, no
// setting, no tuned pool. It exists only so that bench can build it from the
// version in go.mod, with the flags PicoBase is built with.
package main

import (
	"log"

	"github.com/pocketbase/pocketbase"
)

func main() {
	if err := pocketbase.New().Start(); err != nil {
		log.Fatal(err)
	}
}
