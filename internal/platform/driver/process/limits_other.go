//go:build !linux

package process

import (
	"log/slog"
	"os/exec"
)

// limits are not enforced here: there are no control groups.
type limits struct{}

func findLimits(_ string, logger *slog.Logger) *limits {
	logger.Warn("limits of tenants are not enforced: this system has no control groups")
	return &limits{}
}

func (*limits) memory() bool                                      { return false }
func (*limits) start(_ string, _ storedSpec, cmd *exec.Cmd) error { return cmd.Start() }
func (*limits) outOfMemory(string) bool                           { return false }
func (*limits) remove(string)                                     {}
func (*limits) close()                                            {}
