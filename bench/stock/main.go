// Command stock is PocketBase exactly as its authors ship it: no setting, no
// tuned pool. It exists only so that bench can build it from the version in
// go.mod, with the flags PicoBase is built with. JavaScript hooks are on when
// --hooksDir names a folder, with the pool of PocketBase's own releases.
package main

import (
	"log"
	"os"

	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/plugins/jsvm"
)

// prewarmed is how many VMs examples/base of PocketBase makes, which releases are built from.
const prewarmed = 15

func main() {
	app := pocketbase.New()
	var hooksDir string
	app.RootCmd.PersistentFlags().StringVar(&hooksDir, "hooksDir", "", "the directory with the JS app hooks")
	_ = app.RootCmd.ParseFlags(os.Args[1:]) // hooks are loaded before commands run, which report bad flags
	if hooksDir != "" {
		jsvm.MustRegister(app, jsvm.Config{HooksDir: hooksDir, HooksWatch: true, HooksPoolSize: prewarmed})
	}
	if err := app.Start(); err != nil {
		log.Fatal(err)
	}
}
