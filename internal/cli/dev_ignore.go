package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const ignoreFile = ".gitignore"

// ignore keeps files of this machine out of the app's repository. Where there is
// none, it does nothing.
func ignore(paths []string, ask asker, notes io.Writer) error {
	content, err := os.ReadFile(ignoreFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var missing []string
	for _, path := range paths {
		path = filepath.Clean(path)
		if filepath.IsLocal(path) && path != "." && shown(path, string(content), err == nil) {
			missing = append(missing, filepath.ToSlash(path))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, " and ")
	if !ask.may("Add "+names+" to "+ignoreFile+"?", "git does not ignore "+names+": add that to "+ignoreFile+", or add --yes.", notes) {
		return nil
	}
	text := string(content)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for _, path := range missing {
		text += "/" + path + "\n"
	}
	if err := os.WriteFile(ignoreFile, []byte(text), 0o644); err != nil { //nolint:gosec // source code, for everybody
		return err
	}
	fmt.Fprintf(notes, "Added %s to %s.\n", names, ignoreFile)
	return nil
}

// shown reports whether git would see the file. Outside of a repository, and
// without git, the rules are read as far as they are plain ones.
func shown(path, rules string, hasRules bool) bool {
	err := exec.Command("git", "check-ignore", "--quiet", path).Run() //nolint:gosec,noctx // an answer in no time
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return true
	case !hasRules:
		return false
	}
	for rule := range strings.Lines(rules) {
		rule = strings.Trim(strings.TrimSpace(rule), "/")
		if matched, err := filepath.Match(rule, filepath.Base(path)); err == nil && matched || rule == path {
			return false
		}
	}
	return true
}
