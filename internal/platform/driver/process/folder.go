package process

import (
	"path/filepath"

	"github.com/picobase/picobase/internal/platform/driver"
)

// Folder returns the data folder of a tenant. Another one begins as its copy when
// PICOBASE_BRANCH_FROM names it, whoever's the folder is.
func (d *Driver) Folder(id string) (string, error) {
	return filepath.Join(d.cfg.Dir, id, "data"), driver.CheckID(id)
}
