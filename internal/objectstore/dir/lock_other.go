//go:build !linux && !darwin && !freebsd

package dir

import (
	"errors"
	"os"
)

// flock is not known here, and without it conditions would not hold.
func flock(*os.File, bool) (free bool, err error) { return false, errors.ErrUnsupported }

func changeTime(*os.File) (int64, error) { return 0, errors.ErrUnsupported }
