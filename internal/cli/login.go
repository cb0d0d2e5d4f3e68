package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const devicePath = platformPath + "/device"

type loginOptions struct {
	Platform, Token string
	JSON            bool

	open func(ctx context.Context, address string) error // nil for no browser
	unit time.Duration                                   // of the intervals that the platform names
}

// NewLogin returns the command login.
func NewLogin() *cobra.Command {
	o := loginOptions{unit: time.Second}
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in to a platform, in the browser or with a token",
		Long: `Sign in to a platform. Without a token, a page of the platform asks you in the browser to let this machine in, which
then gets a token of its own for 90 days. It is kept in the folder for configuration of this user of the machine.`,
		Example: "  picobase login --platform https://example.com\n  picobase login --token-stdin < token.txt",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if fromStdin {
				if o.Token != "" {
					return Usage("--token and --token-stdin are two ways to say the same: give one")
				}
				content, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<16))
				if err != nil {
					return err
				}
				if o.Token = strings.TrimSpace(string(content)); o.Token == "" {
					return Usage("--token-stdin: there is no token on the standard input")
				}
			} else if cmd.Flags().Changed("token") && o.Token == "" {
				return Usage("--token is empty")
			}
			if isTerminal(cmd.InOrStdin()) && isTerminal(cmd.ErrOrStderr()) {
				o.open = openBrowser
			}
			return login(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	platformFlag(cmd, &o.Platform)
	cmd.Flags().StringVar(&o.Token, "token", "", "a personal access token; other users of the machine may see it while the command runs")
	cmd.Flags().BoolVar(&fromStdin, "token-stdin", false, "read the token from the standard input")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object")
	return cmd
}

func login(ctx context.Context, o loginOptions, out, notes io.Writer) error {
	kept, err := loadCredentials()
	if err != nil {
		return err
	}
	platform, err := choosePlatform(o.Platform, kept)
	if err != nil {
		return err
	}
	signedIn := account{Token: o.Token}
	if o.Token == "" {
		if signedIn, err = loginDevice(ctx, o, platform, notes); err != nil {
			return err
		}
	}
	client, err := clientWithToken(platform, signedIn.Token)
	if err != nil {
		return err
	}
	person, err := fetchPerson(ctx, client)
	if err != nil {
		return err
	}
	signedIn.Email = person.Email
	if kept.Platforms == nil {
		kept.Platforms = map[string]account{}
	}
	kept.Platform, kept.Platforms[platform] = platform, signedIn
	if err := kept.save(); err != nil {
		return err
	}
	if os.Getenv("PICOBASE_TOKEN") != "" {
		fmt.Fprintln(notes, "PICOBASE_TOKEN is set, and goes before this sign-in.")
	}
	if o.JSON {
		person.Platform, person.Expires = platform, signedIn.Expires
		return printJSON(out, person)
	}
	fmt.Fprintf(notes, "Signed in to %s as %s.\n", platform, person.Email)
	return nil
}

// loginDevice has somebody let this machine in by a browser, on it or elsewhere (RFC
// 8628).
func loginDevice(ctx context.Context, o loginOptions, platform string, notes io.Writer) (account, error) {
	client, err := NewClient(platform, "", nil)
	if err != nil {
		return account{}, err
	}
	host, _ := os.Hostname() // only a name to tell it by
	var begun struct {
		DeviceCode string `json:"device_code"`
		UserCode   string `json:"user_code"`
		URI        string `json:"verification_uri"`
		Complete   string `json:"verification_uri_complete"`
		ExpiresIn  int    `json:"expires_in"`
		Interval   int    `json:"interval"`
	}
	if err := client.Call(ctx, http.MethodPost, devicePath+"/code", map[string]string{"name": host}, &begun); err != nil {
		return account{}, err
	}
	if begun.Complete == "" {
		begun.Complete = begun.URI
	}
	fmt.Fprintf(notes, "To let this machine in, open\n\n  %s\n\nand compare the code: %s\n\n", begun.Complete, begun.UserCode)
	if o.open != nil {
		if err := o.open(ctx, begun.Complete); err != nil {
			fmt.Fprintf(notes, "No browser opened: %v\n", err)
		}
	}
	fmt.Fprintln(notes, "Waiting …")

	interval := time.Duration(max(begun.Interval, 1)) * o.unit
	if begun.ExpiresIn > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(begun.ExpiresIn)*o.unit)
		defer cancel()
	}
	for {
		select {
		case <-ctx.Done():
			return account{}, loginEnded(ctx)
		case <-time.After(interval):
		}
		var answer struct {
			Token   string `json:"access_token"`
			Expires string `json:"expires"`
		}
		err := client.Call(ctx, http.MethodPost, devicePath+"/token", map[string]string{
			"device_code": begun.DeviceCode, "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "picobase",
		}, &answer)
		var own *Error
		switch {
		case err == nil:
			return account{Token: answer.Token, Expires: answer.Expires, Device: true}, nil
		case ctx.Err() != nil:
			return account{}, loginEnded(ctx)
		case !errors.As(err, &own):
			return account{}, err
		case own.name == "slow_down":
			interval += 5 * o.unit
		case own.name == "authorization_pending", own.Code == ExitUnreachable, own.status >= http.StatusInternalServerError:
			// A platform that is away for a moment may be back before the code ends.
		case own.name == "expired_token":
			return account{}, errLoginExpired()
		case own.name == "access_denied":
			return account{}, &Error{Code: ExitNotAllowed, Err: errors.New("the login was refused in the browser")}
		default:
			return account{}, err
		}
	}
}

func loginEnded(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errLoginExpired()
	}
	return ctx.Err()
}

func errLoginExpired() error {
	return &Error{Code: ExitFailed, Err: errors.New("nobody let this machine in before the code expired"), Hint: "Run picobase login again."}
}
