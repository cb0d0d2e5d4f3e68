//go:build linux || darwin || freebsd

package disk

import "golang.org/x/sys/unix"

// Space returns what an unprivileged process can still write to the file
// system of path, and how large that is, in bytes.
func Space(path string) (free, total uint64, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return 0, 0, err
	}
	// FreeBSD's Bavail can be negative.
	size := uint64(stat.Bsize)                                         //nolint:gosec,nolintlint,unconvert // its type differs between systems
	return uint64(max(stat.Bavail, 0)) * size, stat.Blocks * size, nil //nolint:nolintlint,unconvert // the same
}
