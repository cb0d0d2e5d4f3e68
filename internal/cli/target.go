package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Target says which tenant a command is for.
type Target struct {
	URL string // a running server; empty for the folder
	Key string // secret API key for URL
	Dir string // data folder on this machine

	// Project is the name or id of a project at a platform, which then says the URL.
	Project string

	// Create lets the command begin a folder that does not exist yet.
	Create bool

	// Recover lets the command work on the backups of a folder that is not there
	// any more.
	Recover bool

	// bearer is how a platform lets its people in, instead of a key.
	bearer func(context.Context) (string, error)

	// platform is where Project is, which is then its id.
	platform *Client

	// linked says that .picobase names the target.
	linked bool
}

// Client returns the client for a target with a URL.
func (t Target) Client() (*Client, error) {
	client, err := NewClient(t.URL, t.Key, nil)
	if err == nil {
		client.bearer = t.bearer
	}
	return client, err
}

// Connect opens the way to a tenant. The caller closes it.
type Connect func(ctx context.Context, target Target) (*Client, io.Closer, error)

// targetFlags adds the flags that say which tenant a command is for.
func targetFlags(cmd *cobra.Command, target *Target) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&target.URL, "url", "", "URL of a running server (default $PICOBASE_URL)")
	flags.StringVar(&target.Key, "key", "", "secret API key for --url (default $PICOBASE_API_KEY)")
	flags.StringVar(&target.Project, "project", "", "name or id of a project at the platform that you are signed in to (default the linked one)")
	completeProjectFlag(cmd)
}

// resolve fills the target from what says it first: the flags, the environment, the
// link of this folder, and last the data folder.
func resolve(ctx context.Context, cmd *cobra.Command, target Target) (Target, error) {
	dir := cmd.Flag("dir")
	target.Dir = dir.Value.String()
	places := 0
	for _, named := range []bool{target.URL != "", dir.Changed, target.Project != ""} {
		if named {
			places++
		}
	}
	if places > 1 {
		return target, Usage("--url, --dir and --project are different places: give one")
	}
	if target.Project != "" {
		if target.Key != "" {
			return target, Usage("--key goes with --url")
		}
		return targetOfProject(ctx, target)
	}
	if target.URL == "" && !dir.Changed {
		target.URL = os.Getenv("PICOBASE_URL")
	}
	switch {
	case target.URL != "":
		return targetWithKey(target)
	case target.Key != "":
		return target, Usage("--key goes with --url")
	case dir.Changed:
		return target, nil
	}
	linked, err := findLink()
	if err != nil || linked == nil {
		return target, err
	}
	return targetOfLink(ctx, target, linked)
}

// targetWithKey fills in the key of a server that the flags or the environment name.
func targetWithKey(target Target) (Target, error) {
	if target.Key == "" {
		target.Key = os.Getenv("PICOBASE_API_KEY")
	}
	if target.Key == "" {
		kept, err := loadCredentials()
		if err != nil {
			return target, err
		}
		target.Key = kept.Servers[trimURL(target.URL)]
	}
	if target.Key == "" {
		return target, Usage("--url needs --key or PICOBASE_API_KEY")
	}
	return target, nil
}

// targetOfLink is the target that the link of a folder names. A link comes with a
// folder, maybe somebody else's: it never says where a secret of the environment is
// sent.
func targetOfLink(ctx context.Context, target Target, linked *link) (Target, error) {
	target.linked = true
	if linked.URL != "" {
		kept, err := loadCredentials()
		if err != nil {
			return target, err
		}
		target.URL, target.Key = linked.URL, kept.Servers[linked.URL]
		if target.Key == "" {
			return target, &Error{
				Code: ExitNotAllowed, Err: errors.New("there is no key of yours for " + linked.URL + ", to which this folder is linked"),
				Hint: "Run picobase link --url " + linked.URL + " --key KEY, or name another place with --url, --project or --dir.",
			}
		}
		return target, nil
	}
	client, err := openPlatformOf(linked)
	if err != nil {
		return target, err
	}
	return actAsOwner(ctx, target, client, linked.Project)
}

// run connects to the tenant of the command and calls do with it.
func run(cmd *cobra.Command, connect Connect, target Target, do func(context.Context, *Client) error) error {
	resolved, err := resolve(cmd.Context(), cmd, target)
	if err != nil {
		return err
	}
	return runOn(cmd.Context(), connect, resolved, do)
}

// runOn is run for a target that is resolved.
func runOn(ctx context.Context, connect Connect, target Target, do func(context.Context, *Client) error) (err error) {
	client, closer, err := connect(ctx, target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	return do(ctx, client)
}
