//go:build linux || darwin || freebsd

package backupzip

import "golang.org/x/sys/unix"

// freeSpace returns the bytes that this user can still write on the disk of path.
func freeSpace(path string) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return 0, err
	}
	// FreeBSD's Bavail can be negative.
	return int64(max(stat.Bavail, 0)) * int64(stat.Bsize), nil //nolint:gosec,nolintlint,unconvert // its type differs between systems
}
