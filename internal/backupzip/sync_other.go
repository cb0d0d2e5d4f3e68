//go:build !linux

package backupzip

import (
	"io/fs"
	"os"
	"path/filepath"
)

// syncTree returns when what is below the folder is on the disk.
func syncTree(folder string) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		opened, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = opened.Close() }()
		return opened.Sync()
	})
}
