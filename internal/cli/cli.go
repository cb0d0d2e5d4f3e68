// Package cli is the command line as a client: it speaks HTTP to a tenant, over
// the network or, through a RoundTripper that main.go hands it, to the folder on
// this machine. It knows nothing of PocketBase or of the plugins.
//
// One file per verb: a cobra command that only parses, and a function that
// does the work on a Client.
//
//	root.AddCommand(cli.NewKeys(connect))
//	os.Exit(cli.ExitCode(root.Execute()))
package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
)

// Exit codes of every command.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitNotAllowed  = 4
	ExitUnreachable = 5
)

// Error is an error with its exit code and, in Hint, the next step.
type Error struct {
	Code int
	Hint string
	Err  error

	status  int             // of the HTTP answer, if it was one
	name    string          // code of the answer's error
	details json.RawMessage // of the answer's error
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + "\n" + e.Hint
}

func (e *Error) Unwrap() error { return e.Err }

// Usage returns the error for a command that was called wrongly.
func Usage(format string, args ...any) error {
	return &Error{Code: ExitUsage, Err: fmt.Errorf(format, args...)}
}

// ExitCode returns the exit code for a command's error.
func ExitCode(err error) int {
	var own *Error
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &own):
		return own.Code
	default:
		return ExitFailed
	}
}

// printJSON writes value as one line of JSON.
func printJSON(w io.Writer, value any) error { return json.NewEncoder(w).Encode(value) }

// confirm asks before something that cannot be undone. Without a terminal
// there is nobody to ask, so --yes is needed.
func confirm(cmd *cobra.Command, yes bool, question string) error {
	if yes {
		return nil
	}
	if _, ok := cmd.InOrStdin().(*os.File); ok && !isTerminal(cmd.InOrStdin()) {
		return Usage("%s needs a yes: add --yes", cmd.CommandPath())
	}
	fmt.Fprint(cmd.ErrOrStderr(), question+" [y/N] ")
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && answer == "" {
		return Usage("%s needs a yes: add --yes", cmd.CommandPath())
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return &Error{Code: ExitFailed, Err: errors.New("not confirmed, nothing was changed")}
}

// isTerminal reports whether a stream is a person's terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// exactArgs is cobra.ExactArgs with this package's exit code.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return Usage("%s takes %d argument(s): %s", cmd.CommandPath(), len(names), strings.Join(names, " "))
		}
		return nil
	}
}

// noArgs is cobra.NoArgs with this package's exit code.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Usage("unknown command or argument %q for %q", args[0], cmd.CommandPath())
	}
	return nil
}
