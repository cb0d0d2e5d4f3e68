package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/picobase/picobase/internal/hookfiles"
	"github.com/spf13/cobra"
)

// defaultHooksDir is where hooks are if no folder is named, as for serve.
const defaultHooksDir = "jsvm_hooks"

type hooksPushOptions struct {
	Dir, Label         string
	DryRun, Keep, JSON bool
	Watch              bool
}

func hooksPush(connect Connect, target *Target) *cobra.Command {
	o := hooksPushOptions{Dir: defaultHooksDir}
	cmd := &cobra.Command{
		Use:     "push [DIR]",
		Short:   "Upload the hooks in a folder (default " + defaultHooksDir + ") and put them in force",
		Example: "  picobase hooks push\n  picobase hooks push ./hooks --dry-run --url https://api.example.com\n  picobase hooks push --watch",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return Usage("%s takes one folder at most", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.Dir = args[0]
			}
			push := func(body map[string]any) error {
				// Connected anew for each: between two, a folder may be restored.
				return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
					return pushHooks(ctx, c, o, body, cmd.OutOrStdout(), cmd.ErrOrStderr())
				})
			}
			if o.Watch {
				return watchHooks(cmd.Context(), o, push, cmd.ErrOrStderr())
			}
			body, err := readHooks(o)
			if err != nil {
				return err
			}
			return push(body)
		},
	}
	cmd.Flags().StringVar(&o.Label, "label", "", "a text to tell the version by, such as a commit")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "check the hooks and change nothing")
	cmd.Flags().BoolVar(&o.Watch, "watch", false, "go on, and push whenever the folder changes")
	cmd.Flags().BoolVar(&o.Keep, "no-activate", false, "store the version and leave the active one in force")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object")
	return cmd
}

// readHooks reads the folder into the body of the upload.
func readHooks(o hooksPushOptions) (map[string]any, error) {
	files, err := hookfiles.Read(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Usage("there is no folder %s: name the one with the hooks", o.Dir)
	}
	if err == nil {
		err = hookfiles.Check(files)
	}
	if err != nil {
		return nil, Usage("%s: %w", o.Dir, err)
	}
	texts := make(map[string]string, len(files))
	for name, file := range files {
		texts[name] = string(file)
	}
	return map[string]any{"files": texts, "label": o.Label, "dryRun": o.DryRun, "activate": !o.Keep}, nil
}

func pushHooks(ctx context.Context, c *Client, o hooksPushOptions, body map[string]any, out, notes io.Writer) error {
	var answer json.RawMessage
	if err := c.Call(ctx, http.MethodPost, hooksPath, body, &answer); err != nil {
		return withProblems(err, notes)
	}
	if o.JSON {
		return printJSON(out, answer)
	}
	var made struct {
		hooksVersionFields
		Hooks []struct{} `json:"hooks"`
	}
	if err := json.Unmarshal(answer, &made); err != nil {
		return fmt.Errorf("%s did not answer as PicoBase does: %w", c.base, err)
	}
	if o.DryRun {
		_, err := fmt.Fprintf(notes, "The hooks are good: %d files, %d hooks. Nothing was changed.\n", made.Files, len(made.Hooks))
		return err
	}
	state := "is active"
	if !made.Active {
		state = "is stored, not active"
	}
	fmt.Fprintf(notes, "Version %s %s: %d files, %s.\n", made.ID, state, made.Files, size(made.Size))
	_, err := fmt.Fprintln(out, made.ID)
	return err
}

// withProblems prints what is wrong with the hooks, a line each, as compilers do.
func withProblems(err error, notes io.Writer) error {
	var own *Error
	if !errors.As(err, &own) || len(own.details) == 0 {
		return err
	}
	var details struct {
		Problems []hookProblem `json:"problems"`
	}
	if json.Unmarshal(own.details, &details) != nil {
		return err
	}
	for _, problem := range details.Problems {
		// A stack trace of several lines is indented below its place.
		fmt.Fprintln(notes, strings.ReplaceAll(problem.String(), "\n", "\n    "))
	}
	return err
}
