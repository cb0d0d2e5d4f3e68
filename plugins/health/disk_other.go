//go:build !linux && !darwin && !freebsd

package health

import "errors"

// diskSpace is not known here: the check answers "unknown".
func diskSpace(string) (free, total uint64, err error) {
	return 0, 0, errors.ErrUnsupported
}
