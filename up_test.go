package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/platform"
	"github.com/picobase/picobase/internal/platform/driver"
)

// noEngine runs nothing.
type noEngine struct{ driver.Driver }

func (noEngine) Create(context.Context, driver.Spec) error { return errors.New("no engine") }

// A first run that is killed anywhere is gone on with: nobody but its file knows
// the password.
func TestUpIsKilled(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(t *testing.T, p *platform.Platform, path string){
		"not": func(*testing.T, *platform.Platform, string) {},
		"before the account": func(t *testing.T, _ *platform.Platform, path string) {
			newFirstRun(t, path)
		},
		"before the token": func(t *testing.T, p *platform.Platform, path string) {
			first := newFirstRun(t, path)
			if _, _, made, err := p.FirstUser(first.Email, first.Password); err != nil || !made {
				t.Fatal(made, err)
			}
		},
		"before the keys are written": func(t *testing.T, p *platform.Platform, path string) {
			first := newFirstRun(t, path)
			user, organization, _, err := p.FirstUser(first.Email, first.Password)
			if err == nil {
				err = first.complete(p, user, organization)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := fleetOptions{dir: t.TempDir()}
			p, err := platform.New(platform.Config{
				DataDir: filepath.Join(o.dir, "platform"), BaseDomain: "localhost", PublicURL: "http://localhost:8080",
				Driver: noEngine{}, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Bootstrap(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = p.Close() }()
			path, begun := filepath.Join(o.dir, firstRunFile), filepath.Join(o.dir, begunFile)
			kill(t, p, begun)
			for range 2 { // once more changes nothing
				var out strings.Builder
				if err := up(context.Background(), &out, o, p); err != nil {
					t.Fatal(err)
				}
				first, err := readFirstRun(path)
				if err != nil || first.Token == "" || first.Project.Keys == nil || !strings.Contains(out.String(), first.Password) {
					t.Fatalf("%+v, %v: %s", first, err, out.String())
				}
				if _, err := p.App.FindAuthRecordByEmail("users", first.Email); err != nil {
					t.Error(err)
				}
			}
			if _, err := os.Stat(begun); !os.IsNotExist(err) {
				t.Errorf("%s is left: %v", begun, err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
		})
	}
}

// begin is what a first run does before all else.
func newFirstRun(t *testing.T, path string) *firstRun {
	t.Helper()
	first := &firstRun{Email: firstEmail, Password: "correct horse battery"}
	if err := first.write(path); err != nil {
		t.Fatal(err)
	}
	return first
}
