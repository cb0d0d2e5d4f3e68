//go:build !linux && !darwin && !freebsd

package files

import "errors"

// diskSpace is not known here: files are fetched whatever is free.
func diskSpace(string) (free, total uint64, err error) {
	return 0, 0, errors.ErrUnsupported
}
