package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/platform"
	"github.com/pocketbase/pocketbase/tools/security"
	"github.com/spf13/cobra"
)

// The first account and project of up.
const (
	firstRunFile  = "first-run.json"
	begunFile     = ".first-run-begun.json"
	firstEmail    = "admin@picobase.local"
	firstProject  = "app"
	secondProject = "app2"
	firstTokenFor = "picobase up"
)

func newUp() *cobra.Command {
	o := fleetOptions{driver: "process", signUp: "closed", stopTenants: true, allowPrivateHosts: true, router: routerOptions{tls: "off"}}
	cmd := &cobra.Command{
		Use:         "up",
		Short:       "Run a platform, its router and a first project on this machine",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{hostCommand: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runFleet(cmd, o, func(p *platform.Platform) error { return up(cmd.Context(), cmd.OutOrStdout(), o, p) })
		},
	}
	o.common(cmd.Flags())
	cmd.Flags().StringVar(&o.http, "http", localAddress, "address to listen on")
	cmd.Flags().StringVar(&o.baseDomain, "base-domain", "localhost", "domain that projects are served below, as NAME.DOMAIN")
	cmd.Flags().StringVar(&o.publicURL, "public-url", "", "where people reach the platform (default http://BASE-DOMAIN with the port for localhost, else https://BASE-DOMAIN)")
	return cmd
}

// firstRun is what the first run of up makes, and leaves in first-run.json.
type firstRun struct {
	URL       string `json:"url"`
	Dashboard string `json:"dashboard"`
	Email     string `json:"email"`
	Password  string `json:"password"`
	Token     string `json:"token"`

	Project platform.ProjectView `json:"project"`
}

// up makes the first account and project of a new folder, and tells how to go on.
// The password is in a file before there is an account: a run that is killed in
// between is gone on with by the next. The file that scripts read is there once it
// is complete.
func up(ctx context.Context, w io.Writer, o fleetOptions, p *platform.Platform) error {
	path, begunPath := filepath.Join(o.dir, firstRunFile), filepath.Join(o.dir, begunFile)
	first, err := readFirstRun(path)
	if err == nil {
		_ = os.Remove(begunPath) // of a run that was killed when it was done
		tell(w, first)
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	first, err = readFirstRun(begunPath)
	begun := err == nil
	if errors.Is(err, os.ErrNotExist) {
		first = firstRun{URL: p.URL(), Dashboard: p.URL() + "/_/", Email: firstEmail, Password: security.RandomString(20)}
		err = first.write(begunPath)
	}
	if err != nil {
		return err
	}
	user, organization, made, err := p.FirstUser(first.Email, first.Password)
	if err != nil {
		return fmt.Errorf("make the first account: %w", err)
	}
	if !made && (!begun || user == "") {
		// There are accounts that were made another way.
		fmt.Fprintf(w, "\nPicoBase %s is running.\n\n  Platform   %s\n  Dashboard  %s/_/\n\n", version, p.URL(), p.URL())
		return os.Remove(begunPath)
	}
	if first.Project.ID == "" {
		if err := first.complete(p, user, organization); err != nil {
			return err
		}
		// The keys are never shown again: whoever is killed below finds them here.
		if err := first.write(begunPath); err != nil {
			return err
		}
	}
	// So that its dashboard can be used at once, by whoever waits for the file too. It
	// sleeps again by itself.
	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := p.MakeSuperuser(starting, first.Project.ID, first.Email, first.Password); err != nil {
		fmt.Fprintf(w, "\nThe first project has no account for its dashboard, since it does not start: %v\n", err)
	}
	if err := errors.Join(first.write(path), os.Remove(begunPath)); err != nil {
		return err
	}
	tell(w, first)
	fmt.Fprintf(w, "This was made for a new folder and is kept in %s, for this user alone.\n\n", path)
	return nil
}

// complete makes what the account needs.
func (f *firstRun) complete(p *platform.Platform, user, organization string) (err error) {
	if err := p.FirstSuperuser(f.Email, f.Password); err != nil {
		return fmt.Errorf("make the operator's account: %w", err)
	}
	if f.Token, err = p.NewToken(user, firstTokenFor); err != nil {
		return fmt.Errorf("make the first token: %w", err)
	}
	f.Project, err = p.NewProject(nil, organization, firstProject, platform.Branch{})
	var taken *apierr.Error
	if errors.As(err, &taken) && taken.Status == http.StatusConflict {
		// It was made by a run that was killed before it could write down the keys.
		f.Project, err = p.NewProject(nil, organization, secondProject, platform.Branch{})
	}
	if err != nil {
		return fmt.Errorf("make the first project: %w", err)
	}
	return nil
}

// write replaces the file as a whole, for this user alone.
func (f *firstRun) write(path string) error {
	content, err := json.MarshalIndent(f, "", "  ") //nolint:gosec // the password is what the file is for
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+firstRunFile+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // gone already when all went well
	_, err = file.Write(append(content, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// readFirstRun reads what the first run has left.
func readFirstRun(path string) (first firstRun, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return first, err
	}
	if err := json.Unmarshal(content, &first); err != nil {
		return first, fmt.Errorf("%s: %w", path, err)
	}
	return first, nil
}

func tell(w io.Writer, first firstRun) {
	fmt.Fprintf(w, "\nPicoBase %s is running.\n\n", version)
	fmt.Fprintf(w, "  Project     %s\n", first.Project.URL)
	fmt.Fprintf(w, "  Dashboard   %s/_/\n", first.Project.URL)
	if keys := first.Project.Keys; keys != nil {
		fmt.Fprintf(w, "  %-11s %s\n  %-11s %s\n", "publishable", keys.Publishable, "secret", keys.Secret)
	}
	fmt.Fprintf(w, "\n  Platform    %s/api/platform/v1/\n", first.URL)
	fmt.Fprintf(w, "  Dashboard   %s\n", first.Dashboard)
	fmt.Fprintf(w, "  Token       %s\n", first.Token)
	fmt.Fprintf(w, "\nBoth dashboards: %s with the password %s\n", first.Email, first.Password)
	if keys := first.Project.Keys; keys != nil {
		fmt.Fprintf(w, "\nTry it; a project that sleeps is woken by its first request:\n\n  curl -H 'X-API-Key: %s' %s/api/health\n\n", keys.Publishable, first.Project.URL)
	}
}
