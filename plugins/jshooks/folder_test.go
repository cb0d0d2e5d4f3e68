package jshooks

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	at := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// again starts the server anew.
func (f *fixture) again() {
	f.t.Helper()
	for range 2 {
		if err := f.Stop(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
	}
	for range 2 {
		if err := f.Start(); err != nil {
			f.t.Fatal(err)
		}
	}
}

// The latest act wins: a changed folder, or what somebody did since.
func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "main.pb.js", slugHook("folder one"))
	write(t, dir, "examples/example.pb.js", "bad(")
	f := newFixture(t, options{dir: dir})
	if list := f.list(); f.slug() != "folder one" || len(list.Items) != 1 || list.Items[0].Source != "folder" || list.Items[0].Label != "folder" {
		t.Fatalf("the folder is not in force: %+v", list)
	}
	f.again()
	if len(f.list().Items) != 1 || f.slug() != "folder one" {
		t.Error("an unchanged folder was stored again")
	}
	f.push(slugHook("uploaded"))
	f.again()
	if f.slug() != "uploaded" {
		t.Error("a start with an unchanged folder undid an upload")
	}
	f.want(f.call(http.MethodDelete, "/api/v1/hooks/1", nil), http.StatusConflict, "hooks_version_of_folder")
	f.call(http.MethodPost, "/api/v1/hooks/deactivate", nil)
	f.again()
	if f.slug() != "" {
		t.Error("a start with an unchanged folder switched the hooks on")
	}
	write(t, dir, "main.pb.js", slugHook("folder two"))
	f.again()
	if f.slug() != "folder two" || len(f.list().Items) != 3 {
		t.Error("a changed folder is not in force")
	}
	if got := f.call(http.MethodDelete, "/api/v1/hooks/1", nil); got.status != http.StatusNoContent {
		t.Errorf("an older version of the folder cannot be deleted: %+v", got)
	}
}

// A broken folder never keeps the server from starting, and is shown.
func TestBrokenFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "main.pb.js", slugHook("good"))
	f := newFixture(t, options{dir: dir})
	for name, breakIt := range map[string]func(){
		"syntax":  func() { write(t, dir, "main.pb.js", "\n\nbad(((") },
		"no text": func() { write(t, dir, "main.pb.js", "\xff\xfe") },
	} {
		breakIt()
		f.again()
		list := f.list()
		if len(list.Problems) == 0 || list.Problems[0].Source != "folder" || !strings.Contains(list.Problems[0].File+list.Problems[0].Message, "main.pb.js") {
			t.Errorf("%s: problems %+v", name, list.Problems)
		}
		if finding, ok := f.Check(t.Context()); !ok || !finding.Degraded || strings.Contains(finding.Message, "main.pb.js") {
			t.Errorf("%s: health %+v", name, finding)
		}
		if f.slug() != "good" {
			t.Errorf("%s: the version before is not in force", name)
		}
		if !strings.Contains(f.log.String(), "main.pb.js") {
			t.Errorf("%s: the operator is not told:\n%s", name, f.log)
		}
	}
	write(t, dir, "main.pb.js", slugHook("better"))
	f.again()
	if list := f.list(); len(list.Problems) != 0 || f.slug() != "better" {
		t.Errorf("mended: %+v", list)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	f.again()
	if list := f.list(); len(list.Problems) != 0 || f.slug() != "better" {
		t.Errorf("without a folder: %+v", list)
	}
}

// A stored version that cannot be loaded any more is shown, and stops nothing.
func TestBrokenVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.push(slugHook("one"))
	content, _, err := pack(map[string][]byte{"main.pb.js": []byte("\n\nbad(((")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.app.NonconcurrentDB().NewQuery("UPDATE _pico_hooks SET content = {:content}").Bind(map[string]any{"content": content}).Execute(); err != nil {
		t.Fatal(err)
	}
	f.again()
	list := f.list()
	if len(list.Problems) == 0 || list.Problems[0].Source != "version" || list.Problems[0].Version != "1" || list.Running != nil || f.slug() != "" {
		t.Errorf("%+v", list)
	}
	if finding, _ := f.Check(t.Context()); !finding.Degraded {
		t.Errorf("health %+v", finding)
	}
	f.want(f.call(http.MethodPost, "/api/v1/hooks/1/activate", nil), http.StatusUnprocessableEntity, "hooks_invalid")
	if f.push(slugHook("two")); f.slug() != "two" || len(f.list().Problems) != 0 {
		t.Error("a new version does not mend it")
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "main.pb.js", slugHook("one"))
	f := newFixture(t, options{dir: dir, watch: true})
	write(t, dir, "main.pb.js", slugHook("two"))
	eventually(t, "the change", func() bool { return f.slug() == "two" })
	write(t, dir, "main.pb.js", "\n\nbad(((")
	eventually(t, "the problem", func() bool { return len(f.list().Problems) > 0 })
	if f.slug() != "two" {
		t.Error("a broken file took the hooks away")
	}
	write(t, dir, "lib/slug.js", "module.exports = 'three'")
	write(t, dir, "main.pb.js", "const slug = require(`${__hooks}/lib/slug.js`)\nonRecordCreate((e) => { e.record.set('slug', slug); e.next() }, 'posts')")
	eventually(t, "the module", func() bool { return f.slug() == "three" })
	write(t, dir, "lib/slug.js", "module.exports = 'four'")
	eventually(t, "the change in a new folder", func() bool { return f.slug() == "four" })
	f.again()
	write(t, dir, "lib/slug.js", "module.exports = 'five'")
	eventually(t, "the change after a stop", func() bool { return f.slug() == "five" })
	if err := f.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "lib/slug.js", "module.exports = 'six'")
	if f.slug() != "" {
		t.Error("hooks run after Stop")
	}
}

// What a command on the folder does is in force in the server within a second.
func TestOtherProcess(t *testing.T) {
	t.Parallel()
	server := newFixture(t, options{})
	server.push(slugHook("one"))
	command := newFixture(t, options{dataDir: server.app.DataDir(), idle: true})
	command.push(slugHook("two"))
	if got := command.slug(); got != "" {
		t.Errorf("hooks ran in a command on the folder: %q", got)
	}
	eventually(t, "the new version", func() bool { return server.slug() == "two" })
	command.call(http.MethodPost, "/api/v1/hooks/1/activate", nil)
	eventually(t, "the rollback", func() bool { return server.slug() == "one" })
	command.call(http.MethodPost, "/api/v1/hooks/1/activate", nil)
	command.call(http.MethodPut, "/api/v1/hooks/secrets/NAME", map[string]string{"value": "beside"})
	eventually(t, "the secret", func() bool { value, _ := server.secrets.get("NAME"); return value == "beside" })
	command.call(http.MethodPost, "/api/v1/hooks/deactivate", nil)
	eventually(t, "the end", func() bool { return server.slug() == "" })
	if version := server.push(slugHook("three")); version.ID != "3" {
		t.Errorf("version %s, want 3", version.ID)
	}
}

// Two processes that upload at once never take each other's number.
func TestNumberTaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	content, sum, err := pack(map[string][]byte{"a.pb.js": nil})
	if err != nil {
		t.Fatal(err)
	}
	v := Version{number: 1, SHA256: sum, Source: sourceUpload}
	if err := insertVersion(f.app, v, content); err != nil {
		t.Fatal(err)
	}
	if err := insertVersion(f.app, v, content); !errors.Is(err, errTaken) {
		t.Errorf("got %v, want errTaken", err)
	}
}
