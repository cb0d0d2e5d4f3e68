//go:build linux || darwin || freebsd

package dir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// flock locks the file until it is closed. Unless it waits, free is false when
// somebody else has it.
func flock(file *os.File, wait bool) (free bool, err error) {
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err := unix.Flock(int(file.Fd()), how)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK) && !wait:
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}

func changeTime(file *os.File) (int64, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return 0, err
	}
	return stat.Ctim.Nano(), nil
}
