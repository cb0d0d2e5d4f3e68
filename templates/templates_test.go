package templates_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/picobase/picobase/templates"
)

// A file that is kept in the repository must be in the program, and nothing else.
func TestWhatIsEmbedded(t *testing.T) {
	t.Parallel()
	for _, name := range templates.Names() {
		listed, err := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", name).Output()
		if err != nil {
			t.Skip("needs git and the repository:", err)
		}
		want := strings.Split(strings.TrimSpace(string(listed)), "\n")
		slices.Sort(want)
		var got []string
		for file := range all(t, name) {
			got = append(got, path.Join(name, file))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: embedded\n%s\nin the repository\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if _, ok := templates.Open("nonsense"); ok {
		t.Error("a template of no name is there")
	}
}

// What the templates share is the same in each.
func TestSharedFiles(t *testing.T) {
	t.Parallel()
	const migration = "pb_migrations/1700000000_created_posts.js"
	react := all(t, "react")
	for _, name := range templates.Names() {
		files := all(t, name)
		styles := files["src/styles.css"]
		if name == "next" {
			styles = files["src/app/styles.css"]
		}
		if !bytes.Equal(styles, react["src/styles.css"]) {
			t.Errorf("%s has styles of its own", name)
		}
		if !bytes.Equal(files["src/picobase.ts"], react["src/picobase.ts"]) {
			t.Errorf("%s has types of its own", name)
		}
		here := strings.Replace(string(files[migration]), "http://localhost:3000", "http://localhost:5173", 1)
		if here != string(react[migration]) {
			t.Errorf("%s has a migration of its own, beyond the port", name)
		}
	}
}

func all(t *testing.T, name string) map[string][]byte {
	t.Helper()
	template, ok := templates.Open(name)
	if !ok {
		t.Fatalf("there is no template %s", name)
	}
	files := map[string][]byte{}
	err := fs.WalkDir(template, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files[file], err = fs.ReadFile(template, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path.Join(name, "package.json")); err != nil {
		t.Fatal(err)
	}
	return files
}
