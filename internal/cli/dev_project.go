package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"

	"github.com/picobase/picobase/internal/envfile"
)

// devApp is the app in this folder, as its package.json says.
type devApp struct {
	types            string // file for the types, empty for none
	env              string // content of the env file
	urlName, keyName string // the variables that the app's framework reads
}

// readProject finds out what the app needs.
func readProject(o devOptions) (devApp, error) {
	needs, err := readDependencies("package.json")
	if err != nil {
		return devApp{}, err
	}
	prefix := envPrefix(needs)
	app := devApp{types: o.Types, urlName: prefix + "PICOBASE_URL", keyName: prefix + "PICOBASE_API_KEY"}
	switch {
	case o.NoTypes && o.Types != "":
		return app, Usage("--types and --no-types are two different things: give one")
	case !o.NoTypes && o.Types == "" && needs["@picobase/client"] != "":
		app.types = typesFile(needs)
	}
	if o.EnvFile == "" {
		return app, nil
	}
	content, err := os.ReadFile(o.EnvFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return app, err
	}
	app.env = string(content)
	return app, nil
}

// readDependencies returns what a package needs, with versions; nothing when there
// is no package.
func readDependencies(path string) (map[string]string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Dependencies, DevDependencies map[string]string
	}
	if err := json.Unmarshal(content, &manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	needs := map[string]string{}
	maps.Copy(needs, manifest.DevDependencies)
	maps.Copy(needs, manifest.Dependencies)
	return needs, nil
}

// envPrefix returns what the names of variables begin with that a framework shows
// to browsers.
func envPrefix(needs map[string]string) string {
	switch {
	case needs["next"] != "":
		return "NEXT_PUBLIC_"
	case needs["@sveltejs/kit"] != "":
		return "PUBLIC_"
	case needs["vite"] != "" || needs["vue"] != "" || needs["react"] != "" || needs["svelte"] != "":
		return "VITE_"
	}
	return ""
}

// typesFile is where the types are already, or else belong.
func typesFile(needs map[string]string) string {
	usual, inLib := filepath.Join("src", "picobase.ts"), filepath.Join("src", "lib", "picobase.ts")
	_, err := os.Stat(usual)
	if needs["@sveltejs/kit"] != "" && err != nil {
		return inLib
	}
	return usual
}

func (a devApp) value(name string) string {
	value, _ := envfile.Get(a.env, name)
	return value
}

// localPort returns the port of a project on this machine that the env file names.
func (a devApp) localPort() string {
	parsed, err := url.Parse(a.value(a.urlName))
	if err != nil || parsed.Hostname() != "127.0.0.1" && parsed.Hostname() != "localhost" {
		return ""
	}
	return parsed.Port()
}

// variables returns the environment for the app.
func (a devApp) variables(ready devReady) []string {
	return []string{a.urlName + "=" + ready.URL, a.keyName + "=" + ready.PublishableKey}
}

// writeFiles brings the env file up to date, and keeps it and the data out of git.
func (a devApp) writeFiles(o devOptions, ready devReady, ask asker, notes io.Writer) error {
	ignored := []string{o.Dir}
	if o.EnvFile != "" {
		content := a.env
		for _, variable := range []struct{ name, value string }{{a.urlName, ready.URL}, {a.keyName, ready.PublishableKey}} {
			have := a.value(variable.name)
			if have == variable.value {
				continue
			}
			if have != "" {
				question := fmt.Sprintf("%s has another %s. Change it to %s?", o.EnvFile, variable.name, variable.value)
				otherwise := fmt.Sprintf("%s has another %s and was left as it is. For this project set %s=%s, or add --yes.",
					o.EnvFile, variable.name, variable.name, variable.value)
				if !ask.may(question, otherwise, notes) {
					continue
				}
			}
			content = envfile.Set(content, variable.name, variable.value)
		}
		if content != a.env {
			if err := rewriteFile(o.EnvFile, content); err != nil {
				return err
			}
			fmt.Fprintf(notes, "Wrote %s.\n", o.EnvFile)
		}
		ignored = append(ignored, o.EnvFile)
	}
	return ignore(ignored, ask, notes)
}

// rewriteFile replaces the file as a whole, with the mode that it has.
func rewriteFile(path, content string) error {
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link stays one
	}
	return replaceFile(path, []byte(content), mode)
}
