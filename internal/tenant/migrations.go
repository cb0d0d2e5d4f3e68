package tenant

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/plugins/jsvm"
	"github.com/pocketbase/pocketbase/plugins/migratecmd"
	"github.com/spf13/cobra"
)

// Migrations says where a project's own migrations are: PocketBase's JavaScript
// ones, run by its own engine. They are the operator's code, as the binary is; what
// users upload are hooks, which run elsewhere.
type Migrations struct {
	// Dir is their folder (default none). It need not exist.
	Dir string

	// Automatic writes one into Dir for each change of a collection over HTTP, as
	// PocketBase does while one develops.
	Automatic bool

	// Watch starts the server anew when the folder has a migration that has not run.
	Watch bool
}

// registerMigrations loads the files of the folder, to be run when the tenant is
// served.
func registerMigrations(app core.App, cfg Migrations) error {
	if cfg.Dir == "" {
		return nil
	}
	if _, err := os.Stat(cfg.Dir); err == nil {
		if err := loadMigrations(app, cfg.Dir); err != nil {
			return err
		}
	}
	if !cfg.Automatic {
		return nil
	}
	return migratecmd.Register(app, nil, migratecmd.Config{Dir: cfg.Dir, TemplateLang: migratecmd.TemplateLangJS, Automigrate: true})
}

func loadMigrations(app core.App, dir string) error {
	err := jsvm.Register(app, jsvm.Config{
		MigrationsDir: dir,
		// A folder that is never there: hooks are not for this engine.
		HooksDir: filepath.Join(app.DataDir(), ".pico", "no-hooks"),
	})
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", dir, err)
	}
	return nil
}

// MigrateCommand returns PocketBase's command migrate for the tenant. Its app must be
// bootstrapped before it runs.
func (t *Tenant) MigrateCommand() (*cobra.Command, error) {
	parent := &cobra.Command{}
	err := migratecmd.Register(t.App, parent, migratecmd.Config{Dir: t.cfg.Migrations.Dir, TemplateLang: migratecmd.TemplateLangJS})
	if err != nil {
		return nil, err
	}
	command := parent.Commands()[0]
	parent.RemoveCommand(command)
	return command, nil
}
