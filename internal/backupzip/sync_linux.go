package backupzip

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncTree returns when what is below the folder is on the disk. One call for
// the whole file system takes a fraction of one for each of many small files.
func syncTree(folder string) error {
	opened, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer func() { _ = opened.Close() }()
	return unix.Syncfs(int(opened.Fd()))
}
