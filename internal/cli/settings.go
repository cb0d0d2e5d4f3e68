package cli

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/spf13/cobra"
)

const settingsPath = "/api/v1/settings"

// NewSettings returns the command settings. On the machine of the server it is
// also the way back for someone whose address the settings shut out.
func NewSettings(connect Connect) *cobra.Command {
	var target Target
	cmd := &cobra.Command{
		Use:   "settings",
		Short: "Show the project's settings",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, connect, target, func(ctx context.Context, c *Client) error {
				return callSettings(ctx, c, http.MethodGet, nil, cmd.OutOrStdout())
			})
		},
	}
	targetFlags(cmd, &target)
	// The output is JSON either way; the flag is here because all commands have it.
	cmd.PersistentFlags().Bool("json", false, "print JSON")
	cmd.AddCommand(&cobra.Command{
		Use:     "patch JSON",
		Short:   "Change settings; what the JSON does not name stays",
		Example: `  picobase settings patch '{"ipAllowlist":{"enabled":false}}'`,
		Args:    exactArgs("JSON"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !json.Valid([]byte(args[0])) {
				return Usage("%q is not JSON", args[0])
			}
			return run(cmd, connect, target, func(ctx context.Context, c *Client) error {
				return callSettings(ctx, c, http.MethodPatch, json.RawMessage(args[0]), cmd.OutOrStdout())
			})
		},
	})
	return cmd
}

func callSettings(ctx context.Context, c *Client, method string, body any, out io.Writer) error {
	var settings json.RawMessage
	if err := c.Call(ctx, method, settingsPath, body, &settings); err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(settings)
}
