package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"
)

// NewLogout returns the command logout.
func NewLogout() *cobra.Command {
	var platform string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Sign out of a platform, and end the token that login got",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return logout(cmd.Context(), platform, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	platformFlag(cmd, &platform)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func logout(ctx context.Context, named string, asJSON bool, out, notes io.Writer) error {
	kept, err := loadCredentials()
	if err != nil {
		return err
	}
	platform, err := choosePlatform(named, kept)
	if err != nil {
		return err
	}
	signedIn, ok := kept.Platforms[platform]
	if !ok {
		return &Error{Code: ExitNotFound, Err: fmt.Errorf("you are not signed in to %s", platform)}
	}
	delete(kept.Platforms, platform)
	if kept.Platform == platform {
		kept.Platform = ""
	}
	// First here: a platform that is gone must not keep anybody signed in.
	if err := kept.save(); err != nil {
		return err
	}
	revoked := false
	if signedIn.Device {
		if revoked, err = revokeOwn(ctx, platform, signedIn.Token); err != nil {
			fmt.Fprintf(notes, "The token is deleted here, and may still be valid at %s: %v\n", platform, err)
		}
	}
	if os.Getenv("PICOBASE_TOKEN") != "" {
		fmt.Fprintln(notes, "PICOBASE_TOKEN is still set.")
	}
	if asJSON {
		return printJSON(out, map[string]any{"platform": platform, "revoked": revoked})
	}
	fmt.Fprintf(notes, "Signed out of %s.\n", platform)
	return nil
}

// revokeOwn ends the token at the platform, if it is the only one that can be meant:
// the platform shows of each the last four characters.
func revokeOwn(ctx context.Context, platform, token string) (bool, error) {
	client, err := clientWithToken(platform, token)
	if err != nil {
		return false, err
	}
	const tokensPath = platformPath + "/tokens"
	var answer struct {
		Items []struct {
			ID       string `json:"id"`
			LastFour string `json:"lastFour"`
		} `json:"items"`
	}
	if err := client.Call(ctx, http.MethodGet, tokensPath, nil, &answer); err != nil {
		if ExitCode(err) == ExitNotAllowed {
			return true, nil // it has ended already
		}
		return false, err
	}
	var ids []string
	for _, item := range answer.Items {
		if len(token) > 4 && item.LastFour == token[len(token)-4:] {
			ids = append(ids, item.ID)
		}
	}
	if len(ids) != 1 {
		return false, fmt.Errorf("it cannot be told from your other tokens")
	}
	return true, client.Call(ctx, http.MethodDelete, tokensPath+"/"+url.PathEscape(ids[0]), nil, nil)
}
