package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What the scripts of internal/cli show of a command.
const (
	success     = "success"
	successJSON = "success with --json, with json or jsonlines after it"
	wrongUsage  = "wrong usage (exits 2)"
	notFound    = "not found (exits 3)"
	unreachable = "unreachable (exits 5)"
)

// unscripted are the outcomes that commands do not have, and why.
var unscripted = map[string]map[string]string{
	"backups keygen":  {notFound: "it looks for nothing", unreachable: "it asks nobody"},
	"dev":             {success: "it goes on until it is ended; see dev with --json", notFound: "it makes what is not there", unreachable: "it asks nobody but its own server"},
	"doctor":          {notFound: "that is a finding, and so exit code 1", unreachable: "that is a finding, and so exit code 1"},
	"domains verify":  {success: "no name server has a record of ours"},
	"init":            {notFound: "it makes what is not there", unreachable: "it asks nobody"},
	"login":           {notFound: "it looks for nothing"},
	"logout":          {unreachable: "what is kept here is dropped anyway, with a note"},
	"projects create": {notFound: "it looks for nothing"},
	"projects list":   {notFound: "it looks for nothing"},
	"whoami":          {notFound: "it looks for nothing; without a sign-in it exits 4"},
}

// withoutJSON are commands that developers run and that print no JSON, and why.
var withoutJSON = map[string]string{
	"healthcheck": "its exit code is all that it says",
	"migrate":     "it is PocketBase's",
	"superuser":   "it is PocketBase's, with its commands",
}

// Every command of developers has --json, and scripts that show it and all else that
// can become of the command.
func TestCommandsAreScripted(t *testing.T) {
	t.Parallel()
	root, err := newRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	shown := scripted(t, root)
	used := map[string]bool{}
	for command := range runnable(root) {
		name := strings.TrimPrefix(command.CommandPath(), root.Name()+" ")
		if command.Flag("json") == nil {
			if group, _, _ := strings.Cut(name, " "); withoutJSON[group] == "" {
				t.Errorf("picobase %s has no --json", name)
			}
			continue
		}
		for _, outcome := range []string{success, successJSON, wrongUsage, notFound, unreachable} {
			if excused := unscripted[name][outcome] != ""; excused == shown[name][outcome] {
				if excused {
					t.Errorf("picobase %s: a script shows %s, which is said not to be", name, outcome)
				} else {
					t.Errorf("picobase %s: no script shows %s", name, outcome)
				}
			}
		}
		used[name] = true
	}
	for name := range unscripted {
		if !used[name] {
			t.Errorf("picobase %s is excused, and is no command", name)
		}
	}
}

// runnable yields the commands that do something themselves and are not for hosts.
func runnable(root *cobra.Command) map[*cobra.Command]bool {
	found := map[*cobra.Command]bool{}
	for _, command := range root.Commands() {
		if command.Hidden || command.Annotations[hostCommand] != "" {
			continue
		}
		maps.Copy(found, runnable(command))
		// A group only shows its help, and is told by having no flag of its own.
		if !command.HasSubCommands() || command.Flag("json") != nil {
			found[command] = true
		}
	}
	return found
}

var scriptedLine = regexp.MustCompile(`^(?:exits (\d)|exec) (?:sh -c '.*)?picobase (.*)`)

// scripted reads what the scripts show, by command and outcome.
func scripted(t *testing.T, root *cobra.Command) map[string]map[string]bool {
	t.Helper()
	files, err := filepath.Glob("internal/cli/testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	shown := map[string]map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(content), "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, "-- ") {
				break
			}
			match := scriptedLine.FindStringSubmatch(line)
			if match == nil {
				continue
			}
			command, _, err := root.Find(strings.Fields(match[2]))
			if err != nil {
				continue // a command that is none, which scripts show too
			}
			name := strings.TrimPrefix(command.CommandPath(), root.Name()+" ")
			if shown[name] == nil {
				shown[name] = map[string]bool{}
			}
			outcome := map[string]string{"": success, "0": success, "2": wrongUsage, "3": notFound, "5": unreachable}[match[1]]
			switch asJSON := slices.Contains(strings.Fields(match[2]), "--json"); {
			case asJSON && isChecked(line, lines[i+1:]):
				outcome = successJSON
			case asJSON && outcome == success:
				continue
			}
			shown[name][outcome] = true
		}
	}
	return shown
}

var intoFile = regexp.MustCompile(`> (\S+)'`)

// isChecked reports whether the output of a line is held against a schema: by the next
// line or, where it goes into a file, by a later one.
func isChecked(line string, after []string) bool {
	if match := intoFile.FindStringSubmatch(line); match != nil {
		return slices.ContainsFunc(after, func(line string) bool {
			return strings.HasPrefix(line, "jsonlines ") && strings.HasSuffix(line, " "+match[1])
		})
	}
	return len(after) > 0 && (strings.HasPrefix(after[0], "json ") || strings.HasPrefix(after[0], "jsonlines "))
}
