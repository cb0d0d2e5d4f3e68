package process

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processGroup makes pidfd_send_signal reach the whole group (Linux 6.9).
const processGroup = 1 << 2

// pollInterval is how often we look where a process cannot be waited for.
const pollInterval = 200 * time.Millisecond

// handle is a pidfd: it means one process, also when its id has become another's.
type handle struct{ file *os.File } // nil on a kernel without

func openHandle(pid int) (*handle, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.EINVAL):
		return &handle{}, nil
	case err != nil:
		return nil, err
	}
	return &handle{os.NewFile(uintptr(fd), "pidfd")}, nil
}

func (h *handle) close() {
	if h.file != nil {
		_ = h.file.Close()
	}
}

func (h *handle) signal(id identity, signal syscall.Signal, group bool) error {
	if h.file == nil {
		return signalPID(id, signal, group)
	}
	conn, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = conn.Control(func(fd uintptr) {
		flags := 0
		if group {
			flags = processGroup
		}
		sent = unix.PidfdSendSignal(int(fd), signal, nil, flags)
	})
	if errors.Is(err, os.ErrClosed) || errors.Is(sent, unix.ESRCH) {
		return nil // it has ended
	}
	if group && errors.Is(sent, unix.EINVAL) {
		return signalPID(id, signal, group)
	}
	return errors.Join(err, sent)
}

// wait returns true once the process has ended, false if stop is closed before.
func (h *handle) wait(id identity, stop <-chan struct{}) bool {
	if h.file == nil {
		return pollEnd(id, stop)
	}
	conn, err := h.file.SyscallConn()
	if err != nil {
		return pollEnd(id, stop)
	}
	ended := make(chan error, 1)
	var group sync.WaitGroup
	group.Go(func() {
		ended <- conn.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) //nolint:gosec // a file descriptor
			return n > 0 && err == nil
		})
	})
	select {
	case err := <-ended:
		if err != nil {
			return pollEnd(id, stop)
		}
		return true
	case <-stop:
		h.close() // ends the read
		group.Wait()
		return false
	}
}

func pollEnd(id identity, stop <-chan struct{}) bool {
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

// startTime returns when the process started, in ticks since the machine did. It
// reports false for one that is not there or has ended and waits for its parent.
func startTime(pid int) (uint64, bool) {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	// The name of the program, in parentheses, may hold anything.
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	const stateField, startField = 0, 19 // the 3rd and the 22nd of all
	if len(fields) <= startField || fields[stateField] == "Z" || fields[stateField] == "X" {
		return 0, false
	}
	started, err := strconv.ParseUint(fields[startField], 10, 64)
	return started, err == nil
}

// boot names this run of the machine and, in a container, of that.
var boot = sync.OnceValue(func() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it, start times must do
	namespace, _ := os.Readlink("/proc/self/ns/pid")
	return strings.TrimSpace(string(id)) + " " + namespace
})

// findProcess looks for a process with these arguments, whatever its program: it
// may have been replaced by another version.
func findProcess(args []string) *identity {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile("/proc/" + entry.Name() + "/cmdline")
		if err != nil {
			continue
		}
		got := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		if len(got) != len(args) || !slices.Equal(got[1:], args[1:]) {
			continue
		}
		if started, ok := startTime(pid); ok {
			return &identity{PID: pid, Started: started, Boot: boot()}
		}
	}
	return nil
}
