package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// linkFolder is what link makes in a folder. It is this machine's affair, so it keeps
// itself out of git.
const linkFolder = ".picobase"

// link says which project a folder belongs to: one of a platform, or a server by
// itself. It has no secrets.
type link struct {
	Platform string `json:"platform,omitempty"`
	Project  string `json:"project,omitempty"` // id
	Name     string `json:"name,omitempty"`    // when it was linked

	URL string `json:"url,omitempty"` // of a server without a platform

	path string // of the file
}

// findLink returns the link of the present folder or of the nearest one above it, nil
// if there is none.
func findLink() (*link, error) {
	folder, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		found, err := readLink(filepath.Join(folder, linkFolder, "project.json"))
		if !errors.Is(err, os.ErrNotExist) {
			return found, err
		}
		above := filepath.Dir(folder)
		if above == folder {
			return nil, nil
		}
		folder = above
	}
}

func readLink(path string) (*link, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found := link{path: path}
	err = json.Unmarshal(content, &found)
	if err == nil {
		err = found.check()
	}
	if err != nil {
		return nil, &Error{Code: ExitFailed, Err: fmt.Errorf("%s: %w", path, err), Hint: "Run picobase link again, or delete the file."}
	}
	return &found, nil
}

// check brings the URLs into their form.
func (l *link) check() (err error) {
	switch {
	case l.URL != "" && l.Platform == "" && l.Project == "":
		l.URL, err = serverURL(l.URL)
	case l.URL == "" && l.Platform != "" && l.Project != "":
		l.Platform, err = serverURL(l.Platform)
	default:
		err = errors.New("it must have platform and project, or url")
	}
	return err
}

// write links the present folder.
func (l *link) write() error {
	if err := os.MkdirAll(linkFolder, 0o755); err != nil { //nolint:gosec // no secrets
		return err
	}
	content, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(
		replaceFile(filepath.Join(linkFolder, ".gitignore"), []byte("*\n"), 0o644),
		replaceFile(filepath.Join(linkFolder, "project.json"), append(content, '\n'), 0o644),
	)
}

type linkOptions struct {
	Platform, Project, URL, Key string
	JSON                        bool
}

// NewLink returns the command link.
func NewLink() *cobra.Command {
	var o linkOptions
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Link this folder to a project, for all commands on one",
		Example: "  picobase link --project app\n" +
			"  picobase link --url https://api.example.com --key pbk_sec_…",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.URL != "" && (o.Project != "" || o.Platform != "") {
				return Usage("--url is a server without a platform: give it, or --project")
			}
			if o.URL == "" && o.Key != "" {
				return Usage("--key goes with --url")
			}
			if o.URL != "" {
				return linkServer(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			return linkProject(cmd, o)
		},
	}
	platformFlag(cmd, &o.Platform)
	cmd.Flags().StringVar(&o.Project, "project", "", "name or id of the project (default your only one; on a terminal you are asked)")
	completeProjectFlag(cmd)
	cmd.Flags().StringVar(&o.URL, "url", "", "URL of a server without a platform")
	cmd.Flags().StringVar(&o.Key, "key", "", "secret API key for --url, kept with your credentials (default $PICOBASE_API_KEY)")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object")
	return cmd
}

func linkProject(cmd *cobra.Command, o linkOptions) error {
	platform, err := openPlatform(o.Platform)
	if err != nil {
		return err
	}
	var found project
	if o.Project != "" {
		found, err = findProject(cmd.Context(), platform, o.Project)
	} else {
		found, err = askProject(cmd, platform)
	}
	if err != nil {
		return err
	}
	linked := &link{Platform: platform.base, Project: found.ID, Name: found.Name}
	if err := linked.write(); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(cmd.OutOrStdout(), linked)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "This folder is linked to %s at %s.\n", found.Name, platform.base)
	noteEnvironment(cmd.ErrOrStderr())
	return nil
}

// askProject returns the only project, or the one that the person at the terminal
// names.
func askProject(cmd *cobra.Command, platform *Client) (project, error) {
	projects, err := fetchProjects(cmd.Context(), platform, projectsListOptions{})
	if err != nil {
		return project{}, err
	}
	var names []string
	for _, p := range projects {
		names = append(names, p.Name)
	}
	switch {
	case len(projects) == 0:
		return project{}, &Error{Code: ExitNotFound, Err: fmt.Errorf("you have no project at %s", platform.base), Hint: "Run picobase projects create NAME"}
	case len(projects) == 1:
		return projects[0], nil
	case !isTerminal(cmd.InOrStdin()):
		return project{}, Usage("which project? Give --project: %s", strings.Join(names, ", "))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Which project? %s: ", strings.Join(names, ", "))
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return project{}, err
	}
	answer = strings.TrimSpace(answer)
	if i := slices.Index(names, answer); i >= 0 {
		return projects[i], nil
	}
	return project{}, Usage("%q is none of %s", answer, strings.Join(names, ", "))
}

// linkServer links to a server and keeps its key, both after the server took it.
func linkServer(ctx context.Context, o linkOptions, out, notes io.Writer) error {
	address, err := serverURL(o.URL)
	if err != nil {
		return err
	}
	if o.Key == "" {
		o.Key = os.Getenv("PICOBASE_API_KEY")
	}
	if o.Key == "" {
		return Usage("--url needs --key or PICOBASE_API_KEY")
	}
	client, err := NewClient(address, o.Key, nil)
	if err != nil {
		return err
	}
	if err := checkKey(ctx, client); err != nil {
		return err
	}
	kept, err := loadCredentials()
	if err != nil {
		return err
	}
	if kept.Servers == nil {
		kept.Servers = map[string]string{}
	}
	kept.Servers[address] = o.Key
	linked := &link{URL: address}
	if err := errors.Join(kept.save(), linked.write()); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(out, linked)
	}
	fmt.Fprintf(notes, "This folder is linked to %s.\n", address)
	noteEnvironment(notes)
	return nil
}

// noteEnvironment says why a link may seem to do nothing.
func noteEnvironment(notes io.Writer) {
	if os.Getenv("PICOBASE_URL") != "" {
		fmt.Fprintln(notes, "PICOBASE_URL is set, and goes before the link.")
	}
}

// checkKey makes sure that the server knows the key, whatever that key may do.
func checkKey(ctx context.Context, c *Client) error {
	err := c.Call(ctx, http.MethodGet, keysPath, nil, nil)
	var own *Error
	if errors.As(err, &own) && own.status == http.StatusForbidden {
		return nil // it is known, and may not list keys
	}
	return err
}
