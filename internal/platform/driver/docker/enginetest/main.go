package enginetest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// insideVariable tells the test's second process from its first.
const insideVariable = "PICOBASE_ENGINETEST_INSIDE"

// Main runs a package's tests in namespaces of their own, so that networks, mounts and
// processes of the engines end with it and the host never sees them. Where that is not
// allowed the tests run as they are, and those that need an engine are skipped.
//
//	func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }
func Main(m *testing.M) int {
	if os.Getenv(insideVariable) != "" {
		if err := settle(); err != nil {
			fmt.Fprintln(os.Stderr, "enginetest:", err)
			return 1
		}
		// Tests wait for engines, they do not compute.
		flag.Parse()
		if parallel := flag.Lookup("test.parallel"); parallel != nil {
			_ = parallel.Value.Set("12")
		}
		return m.Run()
	}
	if missing() != "" {
		return m.Run()
	}
	// The thread that starts the process must outlive it: its end would be the signal.
	runtime.LockOSThread()
	inside := exec.Command("/proc/self/exe", os.Args[1:]...) //nolint:gosec,noctx // itself
	inside.Stdin, inside.Stdout, inside.Stderr = os.Stdin, os.Stdout, os.Stderr
	inside.Env = append(os.Environ(), insideVariable+"=1")
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	err := inside.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "enginetest: no namespaces:", err)
		return m.Run()
	}
	return 0
}

// settle makes the namespaces a place to live in.
func settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return linkUp("lo")
}

func linkUp(name string) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}
