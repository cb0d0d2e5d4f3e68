package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Outcomes of a check.
const (
	passed  = "ok"
	warned  = "warning"
	failed  = "failed"
	skipped = "skipped"
)

// finding is what one check of doctor says.
type finding struct {
	Check   string `json:"check"`
	Status  string `json:"status"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"` // of what is not ok
}

type doctorOptions struct {
	Origin  string
	Version string // of this binary
	JSON    bool
}

// NewDoctor returns the command doctor. Version is this binary's.
func NewDoctor(connect Connect, version string) *cobra.Command {
	var target Target
	o := doctorOptions{Version: version}
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Look for what is wrong with the setup, and say how to mend it",
		Long:    "Look for what is wrong with the setup, and say how to mend it. It changes nothing; a project that sleeps is woken.",
		Example: "  picobase doctor --origin http://localhost:5173",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings := examine(cmd, connect, target, o)
			return showFindings(findings, o.JSON, cmd.OutOrStdout())
		},
	}
	targetFlags(cmd, &target)
	cmd.Flags().StringVar(&o.Origin, "origin", "", "origin of a web page that is to call the API, as http://localhost:5173")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object")
	return cmd
}

// examine runs all checks. Those of the server need one.
func examine(cmd *cobra.Command, connect Connect, target Target, o doctorOptions) []finding {
	findings := []finding{checkCredentials(), checkLink()}
	resolved, err := resolve(cmd.Context(), cmd, target)
	if err != nil {
		findings = append(findings, finding{"configuration", failed, message(err), hint(err, "Run picobase link, or give --project, --url with --key, or --dir.")})
		return append(findings, checkPackage("", o.Version))
	}
	findings = append(findings, finding{Check: "configuration", Status: passed, Message: describe(resolved)})
	server := ""
	err = runOn(cmd.Context(), connect, resolved, func(ctx context.Context, c *Client) error {
		var more []finding
		server, more = checkServer(ctx, c, resolved, o)
		findings = append(findings, more...)
		return nil
	})
	switch {
	case err != nil && server == "" && resolved.URL == "":
		findings[len(findings)-1] = finding{"configuration", failed, message(err), hint(err, "See picobase serve, which makes the folder.")}
	case err != nil:
		findings = append(findings, finding{"reachability", failed, message(err), hint(err, "See the log of the server.")})
	}
	return append(findings, checkPackage(server, o.Version))
}

// describe says what a command would work on.
func describe(t Target) string {
	by := ""
	if t.linked {
		by = ", by the link"
	}
	switch {
	case t.platform != nil:
		return fmt.Sprintf("commands work on the project at %s, through %s%s", t.URL, t.platform.base, by)
	case t.URL != "":
		return fmt.Sprintf("commands work on the server %s%s", t.URL, by)
	}
	return "commands work on the folder " + t.Dir
}

// message is an error without its hint.
func message(err error) string {
	var own *Error
	if errors.As(err, &own) {
		return own.Err.Error()
	}
	return err.Error()
}

func hint(err error, otherwise string) string {
	var own *Error
	if errors.As(err, &own) && own.Hint != "" {
		return own.Hint
	}
	return otherwise
}

func showFindings(findings []finding, asJSON bool, out io.Writer) error {
	var wrong []string
	for _, f := range findings {
		if f.Status == failed {
			wrong = append(wrong, f.Check)
		}
	}
	if asJSON {
		if err := printJSON(out, map[string]any{"ok": len(wrong) == 0, "findings": findings}); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			fmt.Fprintf(out, "%-8s %-14s %s\n", f.Status, f.Check, f.Message)
			if f.Fix != "" {
				fmt.Fprintf(out, "%-8s %-14s → %s\n", "", "", strings.ReplaceAll(f.Fix, "\n", " "))
			}
		}
	}
	if len(wrong) > 0 {
		return &Error{Code: ExitFailed, Err: errors.New("something is wrong: " + strings.Join(wrong, ", "))}
	}
	return nil
}
