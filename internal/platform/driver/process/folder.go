package process

import (
	"errors"
	"path/filepath"

	"github.com/picobase/picobase/internal/platform/driver"
)

// ErrOwnUsers says that tenants cannot read each other's folders.
var ErrOwnUsers = errors.New("tenants run as users of their own")

// Folder returns the data folder of a tenant, for another one to begin as its copy.
func (d *Driver) Folder(id string) (string, error) {
	if err := driver.CheckID(id); err != nil {
		return "", err
	}
	if d.uids {
		return "", ErrOwnUsers
	}
	return filepath.Join(d.cfg.Dir, id, "data"), nil
}
