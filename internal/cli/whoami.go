package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"
)

// person is who is signed in, as commands print it.
type person struct {
	Platform string `json:"platform"`
	ID       string `json:"id"`
	Email    string `json:"email"`
	Name     string `json:"name"`
	Operator bool   `json:"operator"`

	// Source is environment, or file for a sign-in that login keeps.
	Source string `json:"source,omitempty"`

	Expires string `json:"expires,omitempty"` // of the token, if it is known
}

// NewWhoami returns the command whoami.
func NewWhoami() *cobra.Command {
	var platform string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "whoami",
		Short: "Show who you are at the platform",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return whoami(cmd.Context(), platform, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	platformFlag(cmd, &platform)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func whoami(ctx context.Context, platform string, asJSON bool, out, notes io.Writer) error {
	client, err := openPlatform(platform)
	if err != nil {
		return err
	}
	who, err := fetchPerson(ctx, client)
	if err != nil {
		return err
	}
	who.Source = "environment"
	if os.Getenv("PICOBASE_TOKEN") == "" {
		kept, err := loadCredentials()
		if err != nil {
			return err
		}
		who.Source, who.Expires = "file", kept.Platforms[who.Platform].Expires
	}
	if asJSON {
		return printJSON(out, who)
	}
	fmt.Fprintf(notes, "At %s, by a token of the %s:\n", who.Platform, who.Source)
	_, err = fmt.Fprintln(out, who.Email)
	return err
}

func fetchPerson(ctx context.Context, platform *Client) (person, error) {
	who := person{Platform: platform.base}
	err := platform.Call(ctx, http.MethodGet, platformPath+"/me", nil, &who)
	who.Platform = platform.base
	return who, err
}
