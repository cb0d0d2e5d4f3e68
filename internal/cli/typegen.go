package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

const (
	typesPath = "/api/v1/types.ts"

	// schemaPoll is how often a watch asks for a new schema: its answer is 304 and
	// costs next to nothing.
	schemaPoll = 500 * time.Millisecond
)

type typegenOptions struct {
	Output       string
	Watch, Check bool
	JSON         bool
}

// NewTypegen returns the command typegen.
func NewTypegen(connect Connect) *cobra.Command {
	var target Target
	var o typegenOptions
	cmd := &cobra.Command{
		Use:   "typegen",
		Short: "Write the project's collections as TypeScript, for @picobase/client",
		Example: "  picobase typegen --output src/picobase.ts\n" +
			"  picobase typegen --output src/picobase.ts --check   # in CI",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (o.Watch || o.Check) && o.Output == "" {
				return Usage("--watch and --check need --output")
			}
			if o.Watch && o.Check {
				return Usage("--watch and --check are two different things: give one")
			}
			return run(cmd, connect, target, func(ctx context.Context, c *Client) error {
				return typegen(ctx, c, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	targetFlags(cmd, &target)
	flags := cmd.Flags()
	flags.StringVarP(&o.Output, "output", "o", "", "a file to write to (default the terminal)")
	flags.BoolVar(&o.Watch, "watch", false, "go on, and write the file again whenever the schema changes")
	flags.BoolVar(&o.Check, "check", false, "write nothing; fail if the file is not up to date")
	flags.BoolVar(&o.JSON, "json", false, "print JSON")
	return cmd
}

func typegen(ctx context.Context, c *Client, o typegenOptions, out, messages io.Writer) error {
	types, tag, err := fetchTypes(ctx, c, "")
	if err != nil {
		return err
	}
	switch {
	case o.Check:
		return checkTypes(o, types, out, messages)
	case o.Output == "" && o.JSON:
		return printJSON(out, map[string]string{"types": string(types)})
	case o.Output == "":
		_, err := out.Write(types)
		return err
	}
	for {
		changed, err := writeTypes(o.Output, types)
		if err != nil {
			return err
		}
		if err := reportTypes(o, changed, out, messages); err != nil || !o.Watch {
			return err
		}
		if types, tag, err = nextTypes(ctx, c, tag); err != nil {
			if ctx.Err() != nil { // the end that was asked for
				return nil
			}
			return err
		}
	}
}

// fetchTypes returns the types and their tag. Without a change since tag, types is nil.
func fetchTypes(ctx context.Context, c *Client, tag string) (types []byte, newTag string, err error) {
	header := http.Header{}
	if tag != "" {
		header.Set("If-None-Match", tag)
	}
	response, err := c.send(ctx, http.MethodGet, typesPath, call{header: header})
	if err != nil {
		return nil, tag, err
	}
	defer response.Body.Close()
	types, err = io.ReadAll(response.Body)
	return types, response.Header.Get("ETag"), err
}

// nextTypes waits for other types than those of tag. A server that is away, as one
// that restarts is, is waited for.
func nextTypes(ctx context.Context, c *Client, tag string) ([]byte, string, error) {
	ticker := time.NewTicker(schemaPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, tag, ctx.Err()
		case <-ticker.C:
		}
		types, newTag, err := fetchTypes(ctx, c, tag)
		var own *Error
		switch {
		case err == nil:
			return types, newTag, nil
		case errors.As(err, &own) && (own.status == http.StatusNotModified || own.Code == ExitUnreachable || own.status == http.StatusServiceUnavailable):
		default:
			return nil, tag, err
		}
	}
}

func checkTypes(o typegenOptions, types []byte, out, messages io.Writer) error {
	have, err := os.ReadFile(o.Output)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	current := bytes.Equal(have, types)
	if o.JSON {
		if err := printJSON(out, map[string]any{"output": o.Output, "current": current}); err != nil {
			return err
		}
	}
	if !current {
		return &Error{
			Code: ExitFailed,
			Err:  fmt.Errorf("%s is not what the schema says", o.Output),
			Hint: "Run picobase typegen --output " + o.Output,
		}
	}
	if !o.JSON {
		fmt.Fprintf(messages, "%s is up to date.\n", o.Output)
	}
	return nil
}

// writeTypes replaces the file as a whole, so that no build reads half of it. A file
// that is right already is not touched: bundlers would build again.
func writeTypes(path string, types []byte) (changed bool, err error) {
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, types) {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // source code, for everybody
		return false, err
	}
	return true, replaceFile(path, types, 0o644)
}

func reportTypes(o typegenOptions, changed bool, out, messages io.Writer) error {
	if o.JSON {
		return printJSON(out, map[string]any{"output": o.Output, "changed": changed})
	}
	if changed {
		_, err := fmt.Fprintf(messages, "Wrote %s.\n", o.Output)
		return err
	}
	_, err := fmt.Fprintf(messages, "%s is up to date.\n", o.Output)
	return err
}
