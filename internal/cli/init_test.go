package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picobase/picobase/templates"
)

func runInit(t *testing.T, input string, args ...string) (out, messages string, err error) {
	t.Helper()
	cmd := NewInit()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	var stdout, stderr bytes.Buffer
	cmd.SetIn(strings.NewReader(input))
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SetArgs(args)
	err = cmd.Execute()
	return stdout.String(), stderr.String(), err
}

func TestInit(t *testing.T) {
	t.Parallel()
	for _, name := range templates.Names() {
		dir := filepath.Join(t.TempDir(), "My Shop")
		out, messages, err := runInit(t, "", dir, "--template", name, "--yes")
		if err != nil || out != "" || !strings.Contains(messages, "npm install") || !strings.Contains(messages, `cd "`+dir+`"`) {
			t.Errorf("%s: %v\n%s%s", name, err, out, messages)
		}
		var manifest struct {
			Name         string            `json:"name"`
			Dependencies map[string]string `json:"dependencies"`
		}
		content, err := os.ReadFile(filepath.Join(dir, "package.json"))
		if err != nil || json.Unmarshal(content, &manifest) != nil || manifest.Name != "my-shop" || manifest.Dependencies["@picobase/client"] == "" {
			t.Errorf("%s: package.json: %v\n%s", name, err, content)
		}
		for _, file := range []string{".gitignore", ".env.example", "README.md", "src/picobase.ts", "pb_migrations/1700000000_created_posts.js"} {
			if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestInitAsJSON(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "shop")
	out, messages, err := runInit(t, "", dir, "-t", "vue", "--json")
	var answer struct {
		Dir, Template, Name string
		Files, Next         []string
	}
	if err != nil || messages != "" || json.Unmarshal([]byte(out), &answer) != nil {
		t.Fatalf("%v: %s%s", err, out, messages)
	}
	if answer.Name != "shop" || answer.Template != "vue" || answer.Dir != dir || len(answer.Files) < 15 || len(answer.Next) != 3 {
		t.Errorf("%+v", answer)
	}
}

// A folder with files in it is left as it was, also with --yes.
func TestInitRefusesFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("package.json")
	_, _, err := runInit(t, "", dir, "--template", "react", "--yes")
	if ExitCode(err) != ExitFailed || !strings.Contains(err.Error(), "package.json") || strings.Contains(err.Error(), ".git,") {
		t.Errorf("not empty: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("it left %d entries", len(entries))
	}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		write(name)
	}
	if _, _, err = runInit(t, "", dir, "--template", "react"); err == nil || !strings.Contains(err.Error(), "2 more") {
		t.Errorf("many: %v", err)
	}
	if _, _, err = runInit(t, "", filepath.Join(dir, "a"), "--template", "react"); ExitCode(err) != ExitFailed {
		t.Errorf("a file: %v", err)
	}
	// A repository without a file is a good place to begin.
	fresh := t.TempDir()
	if err := os.Mkdir(filepath.Join(fresh, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err = runInit(t, "", fresh, "--template", "react"); err != nil {
		t.Errorf("a repository: %v", err)
	}
}

func TestInitAsks(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{"3\n": "vue", "svelte\n": "svelte", " 1 \n": "next"} {
		out, _, err := runInit(t, answer, filepath.Join(t.TempDir(), "shop"), "--json")
		if err != nil || !strings.Contains(out, `"template":"`+want+`"`) {
			t.Errorf("%q: %v, %s", answer, err, out)
		}
	}
	for name, c := range map[string]struct {
		input string
		args  []string
	}{
		"no answer":        {"", nil},
		"no such number":   {"9\n", nil},
		"no such template": {"", []string{"--template", "angular"}},
		"ask nothing":      {"3\n", []string{"--yes"}},
		"two folders":      {"", []string{"another", "--template", "vue"}},
	} {
		dir := filepath.Join(t.TempDir(), "shop")
		_, _, err := runInit(t, c.input, append([]string{dir}, c.args...)...)
		if ExitCode(err) != ExitUsage || name != "two folders" && !strings.Contains(err.Error(), "next") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: the folder was made", name)
		}
	}
}

func TestPackageName(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]string{"/x/Shop 2": "shop-2", "/x/.hidden": "hidden", "/x/été": "t", "/": "app", "/x/node_modules": "app", "/x/日本": "app"} {
		if got, err := packageName(dir); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", dir, got, err, want)
		}
	}
}
