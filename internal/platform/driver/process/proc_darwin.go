package process

import (
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pollInterval is how often we look whether a process of an earlier platform runs.
const pollInterval = 200 * time.Millisecond

// handle is nothing here: a process is known by its id and start time.
type handle struct{}

func openHandle(int) (*handle, error) { return &handle{}, nil }

func (*handle) close() {}

func (*handle) signal(id identity, signal syscall.Signal, group bool) error {
	return signalPID(id, signal, group)
}

func (*handle) wait(id identity, stop <-chan struct{}) bool {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if started, ok := startTime(id.PID); !ok || started != id.Started {
			return true
		}
		select {
		case <-ticker.C:
		case <-stop:
			return false
		}
	}
}

// startTime returns when the process started, in microseconds. It reports false
// for one that is not there or has ended and waits for its parent.
func startTime(pid int) (uint64, bool) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	const zombie = 5
	if err != nil || info.Proc.P_pid != int32(pid) || info.Proc.P_stat == zombie { //nolint:gosec // an id
		return 0, false
	}
	start := info.Proc.P_starttime
	return uint64(start.Sec)*1e6 + uint64(start.Usec), true //nolint:gosec // times
}

// boot names this run of the machine.
func boot() string {
	time, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return ""
	}
	return strconv.FormatInt(time.Sec, 10)
}

// findProcess needs other processes' arguments, which this system does not show
// simply. A start that was cut off is then found by the lock of its data folder.
func findProcess([]string) *identity { return nil }
