// Package exitfile is how a tenant leaves its exit code to a platform that is no
// longer its parent: a process that was started by an earlier run of the platform
// can be watched, but only a parent is told its exit code.
//
//	code := run()
//	exitfile.Write(os.Getenv(exitfile.Env), code)
//	os.Exit(code)
package exitfile

import (
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Env names the variable with the path of the file.
const Env = "PICOBASE_EXIT_FILE"

// Write puts code into the file at path, if there is a path. It comes last before
// the exit, so that a file means an end that the program itself has chosen; that
// it fails has no other consequence than that the code stays unknown.
func Write(path string, code int) {
	if path != "" {
		_ = os.WriteFile(path, []byte(strconv.Itoa(code)+"\n"), 0o600)
	}
}

// maxLength is that of a code and its end, and one more to know a longer file.
const maxLength = 5

// Read returns the code that was left at path. It reports false when there is
// none, as after a process that was killed.
func Read(path string) (code int, ok bool) {
	content, err := readRegular(path)
	if err != nil || !strings.HasSuffix(string(content), "\n") {
		return 0, false
	}
	code, err = strconv.Atoi(strings.TrimSpace(string(content)))
	return code, err == nil && code >= 0 && code <= 255
}

// readRegular reads the begin of a file that is one. The folder is the writer's:
// who reads a link follows it to anywhere, and who opens a pipe waits for ever.
func readRegular(path string) ([]byte, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, os.ErrInvalid
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if now, err := file.Stat(); err != nil || !os.SameFile(before, now) {
		return nil, os.ErrInvalid
	}
	return io.ReadAll(io.LimitReader(file, maxLength))
}
