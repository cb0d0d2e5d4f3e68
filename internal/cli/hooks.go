package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

const hooksPath = "/api/v1/hooks"

// hooksVersion is a version as the API shows it. As JSON it is what the server sent.
type hooksVersion struct {
	raw json.RawMessage
	hooksVersionFields
}

type hooksVersionFields struct {
	ID        string    `json:"id"`
	Label     string    `json:"label"`
	Source    string    `json:"source"`
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"createdBy"`
	SHA256    string    `json:"sha256"`
	Files     int       `json:"files"`
	Size      int64     `json:"size"`
	Active    bool      `json:"active"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (v *hooksVersion) UnmarshalJSON(data []byte) error {
	v.raw = append(json.RawMessage(nil), data...)
	return json.Unmarshal(data, &v.hooksVersionFields)
}

// MarshalJSON implements [json.Marshaler].
func (v hooksVersion) MarshalJSON() ([]byte, error) { return v.raw, nil }

// hookProblem is something wrong with a file of a bundle.
type hookProblem struct {
	Source  string `json:"source"`
	Version string `json:"version"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

func (p hookProblem) String() string {
	return printable(fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message))
}

// NewHooks returns the command hooks with its verbs.
func NewHooks(connect Connect) *cobra.Command {
	var target Target
	cmd := &cobra.Command{
		Use:   "hooks",
		Short: "Upload, compare and roll back JavaScript hooks, and see what they log",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	targetFlags(cmd, &target)
	cmd.AddCommand(
		hooksPush(connect, &target), hooksList(connect, &target), hooksRollback(connect, &target),
		hooksDiff(connect, &target), hooksOff(connect, &target), hooksLogs(connect, &target),
		hooksTypes(connect, &target), hooksSecrets(connect, &target),
	)
	return cmd
}

// hooksState is the answer of GET /api/v1/hooks.
type hooksState struct {
	Items   []hooksVersion `json:"items"`
	Active  *string        `json:"active"`
	Running *struct {
		Version string `json:"version"`
	} `json:"running"`
	Enabled  bool          `json:"enabled"`
	Problems []hookProblem `json:"problems"`
}

func hooksList(connect Connect, target *Target) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the versions, the newest first, and what is wrong with them",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				return listHooks(ctx, c, asJSON, time.Now(), cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's JSON")
	return cmd
}

func listHooks(ctx context.Context, c *Client, asJSON bool, now time.Time, out, notes io.Writer) error {
	var answer json.RawMessage
	if err := c.Call(ctx, http.MethodGet, hooksPath, nil, &answer); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, answer)
	}
	var state hooksState
	if err := json.Unmarshal(answer, &state); err != nil {
		return fmt.Errorf("%s did not answer as PicoBase does: %w", c.base, err)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VERSION\tSTATE\tAGE\tFILES\tSIZE\tSHA256\tBY\tLABEL")
	for _, v := range state.Items {
		what := ""
		if v.Active {
			what = "active"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%.12s\t%s\t%s\n", v.ID, what, age(now, v.Created), v.Files, size(v.Size), v.SHA256, oneLine(v.CreatedBy), oneLine(v.Label))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	switch {
	case !state.Enabled:
		fmt.Fprintln(notes, "Hooks are off in the settings (jshooks.enabled).")
	case state.Active == nil:
		fmt.Fprintln(notes, "No version is active.")
	}
	if c.local && state.Active != nil {
		fmt.Fprintln(notes, "Whether a running server could load it is known to the server: ask with --url.")
	}
	for _, problem := range state.Problems {
		where := "the folder"
		if problem.Source == "version" {
			where = "version " + problem.Version
		}
		fmt.Fprintf(notes, "%s is not loaded: %s\n", where, problem)
	}
	return nil
}

func hooksRollback(connect Connect, target *Target) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "rollback [VERSION]",
		Short:   "Activate a version that is there already (default the one before the active one)",
		Example: "  picobase hooks rollback\n  picobase hooks rollback 12",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return Usage("%s takes one version at most", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				version := strings.Join(args, "")
				if version == "" {
					var err error
					if version, err = versionBefore(ctx, c); err != nil {
						return err
					}
				}
				var v hooksVersion
				if err := c.Call(ctx, http.MethodPost, hooksPath+"/"+url.PathEscape(version)+"/activate", nil, &v); err != nil {
					return withProblems(err, cmd.ErrOrStderr())
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), v)
				}
				_, err := fmt.Fprintf(cmd.ErrOrStderr(), "Version %s is active.\n", v.ID)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the version as JSON")
	return cmd
}

// versionBefore returns the newest version that is older than the active one.
func versionBefore(ctx context.Context, c *Client) (string, error) {
	var state hooksState
	if err := c.Call(ctx, http.MethodGet, hooksPath, nil, &state); err != nil {
		return "", err
	}
	past := false
	for _, v := range state.Items { // the newest first
		if past {
			return v.ID, nil
		}
		past = v.Active
	}
	problem := errors.New("no version is active, so there is none before it")
	if past {
		problem = errors.New("there is no version before the active one")
	}
	return "", &Error{Code: ExitNotFound, Err: problem, Hint: "See picobase hooks list, and name one."}
}

func hooksDiff(connect Connect, target *Target) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Show what version B changes in version A",
		Args:  exactArgs("A", "B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				var answer json.RawMessage
				path := hooksPath + "/" + url.PathEscape(args[0]) + "/diff" + query(map[string]string{"to": args[1]})
				if err := c.Call(ctx, http.MethodGet, path, nil, &answer); err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), answer)
				}
				var diff struct {
					Files []struct {
						Diff string `json:"diff"`
					} `json:"files"`
				}
				if err := json.Unmarshal(answer, &diff); err != nil {
					return fmt.Errorf("%s did not answer as PicoBase does: %w", c.base, err)
				}
				for _, file := range diff.Files {
					fmt.Fprint(cmd.OutOrStdout(), printable(file.Diff))
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's JSON")
	return cmd
}

func hooksOff(connect Connect, target *Target) *cobra.Command {
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "off",
		Short: "Switch all hooks off; picobase hooks rollback VERSION switches them on again",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := confirm(cmd, yes, "Switch all hooks off? What they check or forbid is then allowed."); err != nil {
				return err
			}
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				if err := c.Call(ctx, http.MethodPost, hooksPath+"/deactivate", nil, nil); err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), map[string]any{"active": nil})
				}
				_, err := fmt.Fprintln(cmd.ErrOrStderr(), "All hooks are off.")
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func hooksTypes(connect Connect, target *Target) *cobra.Command {
	var output string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "types",
		Short:   "Print the TypeScript definitions that editors need",
		Example: "  picobase hooks types --output jsvm_hooks/types.d.ts",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, *target, func(ctx context.Context, c *Client) error {
				response, err := c.open(ctx, http.MethodGet, hooksPath+"/types.d.ts", nil)
				if err != nil {
					return err
				}
				defer response.Body.Close()
				types, err := io.ReadAll(response.Body)
				if err != nil {
					return err
				}
				if output != "" {
					if err := os.WriteFile(output, types, 0o644); err != nil { //nolint:gosec // for everybody's editor
						return err
					}
				}
				switch {
				case asJSON && output != "":
					return printJSON(cmd.OutOrStdout(), map[string]any{"output": output, "size": len(types)})
				case asJSON:
					return printJSON(cmd.OutOrStdout(), map[string]string{"types": string(types)})
				case output != "":
					_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Wrote %s.\n", output)
					return err
				}
				_, err = cmd.OutOrStdout().Write(types)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&output, "output", "", "a file to write to (default the terminal)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
