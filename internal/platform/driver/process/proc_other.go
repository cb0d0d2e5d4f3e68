//go:build !linux && !darwin

package process

import (
	"errors"
	"io/fs"
	"os/exec"
	"syscall"
)

const unknownExit = -2

var errUnsupported = errors.New("the process driver needs Linux or macOS; use the docker driver here")

func supported() error { return errUnsupported }

type proc struct{ id identity }

func parentOf(*exec.Cmd) (*proc, error)        { return nil, errUnsupported }
func adopt(identity) (*proc, error)            { return nil, errUnsupported }
func (*proc) wait(<-chan struct{}) (int, bool) { return unknownExit, false }
func (*proc) terminate() error                 { return errUnsupported }
func (*proc) kill() error                      { return errUnsupported }
func sessionOf(int) *syscall.SysProcAttr       { return nil }
func ownedByUs(fs.FileInfo) bool               { return false }
func owner(fs.FileInfo) int                    { return -1 }
func boot() string                             { return "" }
func findProcess([]string) *identity           { return nil }
