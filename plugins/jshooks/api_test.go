package jshooks

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/hookfiles"
	"github.com/picobase/picobase/plugins/jshooks/engine"
)

func TestUpload(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	if got := f.slug(); got != "" {
		t.Errorf("slug %q without hooks", got)
	}
	first := f.push(slugHook("one"))
	if first.ID != "1" || !first.Active || first.Activated == nil || first.CreatedBy != "cli:ann" || first.Source != "upload" || first.Files != 1 {
		t.Errorf("first version %+v", first)
	}
	if got := f.slug(); got != "one" {
		t.Errorf("slug %q, want that of version 1", got)
	}
	if second := f.push(slugHook("two")); second.ID != "2" || f.slug() != "two" {
		t.Errorf("version %s is not in force", second.ID)
	}

	// The same again is no new version.
	again := f.call(http.MethodPost, "/api/v1/hooks", map[string]any{"files": map[string]string{"main.pb.js": slugHook("two")}})
	if again.status != http.StatusOK || f.active() != "2" {
		t.Errorf("the same files again: %+v", again)
	}

	kept := f.call(http.MethodPost, "/api/v1/hooks", map[string]any{
		"files": map[string]string{"main.pb.js": slugHook("three")}, "label": "later", "activate": false,
	})
	if kept.status != http.StatusCreated || f.active() != "2" || f.slug() != "two" {
		t.Errorf("stored only: %+v", kept)
	}
	dry := f.call(http.MethodPost, "/api/v1/hooks", map[string]any{"files": map[string]string{"main.pb.js": slugHook("four")}, "dryRun": true})
	var found struct{ Hooks []engine.HookInfo }
	dry.into(t, &found)
	if dry.status != http.StatusOK || len(found.Hooks) != 1 || len(f.list().Items) != 3 || f.slug() != "two" {
		t.Errorf("dry run: %+v", dry)
	}

	list := f.list()
	if len(list.Items) != 3 || list.Items[0].Label != "later" || *list.Active != "2" || list.Running.Version != "2" ||
		len(list.Running.Hooks) != 1 || list.Running.Hooks[0].File != "main.pb.js" || !list.Enabled || len(list.Problems) != 0 {
		t.Errorf("list %+v", list)
	}
	var whole versionFiles
	f.call(http.MethodGet, "/api/v1/hooks/1", nil).into(t, &whole)
	if whole.Content["main.pb.js"] != slugHook("one") || whole.SHA256 != first.SHA256 {
		t.Errorf("files of version 1: %+v", whole)
	}
	for _, want := range []string{"hook.uploaded hook 1", "hook.activated hook 1", "hook.activated hook 2", "hook.uploaded hook 3"} {
		if !strings.Contains(f.recorded(), want) {
			t.Errorf("the audit trail lacks %q:\n%s", want, f.recorded())
		}
	}
	if strings.Contains(f.recorded(), "hook.activated hook 3") {
		t.Error("a version that was only stored was recorded as activated")
	}
}

// A bad bundle says where it is bad, and changes nothing.
func TestBadUpload(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.push(slugHook("good"))
	before := f.recorded()
	for name, source := range map[string]string{
		"syntax": "const a = 1\nconst b = 2\nbad(((\n",
		"throws": "const a = 1\n\nbad(1)\n",
	} {
		for _, dry := range []bool{false, true} {
			answer := f.call(http.MethodPost, "/api/v1/hooks", map[string]any{
				"files": map[string]string{"ok.pb.js": slugHook("x"), "broken.pb.js": source}, "dryRun": dry,
			})
			f.want(answer, http.StatusUnprocessableEntity, "hooks_invalid")
			var body struct {
				Error struct{ Details struct{ Problems []problem } }
			}
			answer.into(t, &body)
			problems := body.Error.Details.Problems
			if len(problems) == 0 || problems[0].File != "broken.pb.js" || problems[0].Line < 3 || problems[0].Column < 1 || problems[0].Message == "" {
				t.Errorf("%s: problems %+v", name, problems)
			}
		}
	}
	if list := f.list(); len(list.Items) != 1 || *list.Active != "1" || f.slug() != "good" || f.recorded() != before {
		t.Errorf("a bad upload changed something: %+v", list)
	}
}

func TestUploadRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	big := strings.Repeat("a", hookfiles.MaxBytes+1)
	for name, c := range map[string]struct {
		kind, body string
		status     int
		code       string
	}{
		"nothing":       {"application/json", `{}`, 400, "validation_failed"},
		"no JSON":       {"application/json", `x`, 400, "invalid_json"},
		"unknown field": {"application/json", `{"file":{}}`, 400, "validation_failed"},
		"wrong type":    {"application/json", `{"files":{"a.pb.js":1}}`, 400, "validation_failed"},
		"no entry":      {"application/json", `{"files":{"a.js":""}}`, 400, "validation_failed"},
		"leads out":     {"application/json", `{"files":{"a.pb.js":"","../b.js":""}}`, 400, "validation_failed"},
		"long label":    {"application/json", `{"files":{"a.pb.js":""},"label":"` + strings.Repeat("x", 201) + `"}`, 400, "validation_failed"},
		"too big":       {"application/json", `{"files":{"a.pb.js":"` + big + `"}}`, 400, "validation_failed"},
		"text":          {"text/plain", "onRecordCreate()", 415, "hooks_type_unsupported"},
		"no zip":        {"application/zip", "PK", 400, "validation_failed"},
		"no tar":        {"application/gzip", "\x1f\x8b", 400, "validation_failed"},
	} {
		got := f.send(http.MethodPost, "/api/v1/hooks", c.kind, []byte(c.body))
		if got.status != c.status || got.code() != c.code {
			t.Errorf("%s: got %d %.200s, want %d %s", name, got.status, got.text, c.status, c.code)
		}
	}
	if got := f.send(http.MethodPost, "/api/v1/hooks", "application/json", []byte(`{"files":{"a.pb.js":"`+strings.Repeat("a", maxBody)+`"}}`)); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body over the limit: %d %.200s", got.status, got.text)
	}
	if got := f.send(http.MethodGet, "/api/v1/hooks", "", nil, "X-Anonymous", "yes"); got.status != http.StatusUnauthorized {
		t.Errorf("anonymous: %+v", got)
	}
	if len(f.list().Items) != 0 {
		t.Error("something was stored")
	}
}

func TestArchives(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	files := map[string]string{
		"main.pb.js":  "const { slug } = require(`${__hooks}/lib/slug.js`)\nonRecordCreate((e) => { e.record.set('slug', slug()); e.next() }, 'posts')",
		"lib/slug.js": "module.exports = { slug: () => 'archived' }", "README.md": "left out", "examples/x.pb.js": "bad(",
	}
	var zipped, tarred bytes.Buffer
	z := zip.NewWriter(&zipped)
	g := gzip.NewWriter(&tarred)
	a := tar.NewWriter(g)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, text)
		if err := a.WriteHeader(&tar.Header{Name: "./" + name, Mode: 0o600, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(a, text)
	}
	for _, closer := range []interface{ Close() error }{z, a, g} {
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dry := f.send(http.MethodPost, "/api/v1/hooks?dryRun=true", "application/zip", zipped.Bytes())
	if dry.status != http.StatusOK || f.active() != "" {
		t.Errorf("dry run of a zip: %+v", dry)
	}
	got := f.send(http.MethodPost, "/api/v1/hooks?label=zipped", "application/zip", zipped.Bytes())
	var v Version
	got.into(t, &v)
	if got.status != http.StatusCreated || v.Label != "zipped" || v.Files != 2 || f.slug() != "archived" {
		t.Errorf("zip: %+v", got)
	}
	if got := f.send(http.MethodPost, "/api/v1/hooks", "application/gzip", tarred.Bytes()); got.status != http.StatusOK {
		t.Errorf("the same as a tar.gz: %+v", got)
	}
	f.want(f.send(http.MethodPost, "/api/v1/hooks?lable=x", "application/gzip", tarred.Bytes()), 400, "validation_failed")
	f.want(f.send(http.MethodPost, "/api/v1/hooks?activate=perhaps", "application/gzip", tarred.Bytes()), 400, "validation_failed")
}

// An archive is small, and may be much too large once it is unpacked: by one file, by many, or by what does not
// belong to the bundle and is read past. Not parallel: it measures memory.
func TestArchiveBombs(t *testing.T) {
	f := newFixture(t, options{})
	zeros := make([]byte, 1<<20)
	type entry struct {
		name  string
		size  int
		count int
	}
	for name, e := range map[string]entry{
		"one large file":         {"a%d.pb.js", 100 << 20, 1},
		"many files":             {"lib/a%d.js", 100 << 10, 199},
		"more files than may be": {"lib/a%d.js", 1, 201},
		"large files left out":   {"README%d.md", 100 << 20, 2},
	} {
		var zipped, tarred bytes.Buffer
		z := zip.NewWriter(&zipped)
		g := gzip.NewWriter(&tarred)
		a := tar.NewWriter(g)
		for i := range e.count {
			file := fmt.Sprintf(e.name, i)
			w, err := z.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.WriteHeader(&tar.Header{Name: file, Mode: 0o600, Size: int64(e.size), Typeflag: tar.TypeReg}); err != nil {
				t.Fatal(err)
			}
			for left := e.size; left > 0; left -= len(zeros) {
				part := zeros[:min(left, len(zeros))]
				if _, err := io.MultiWriter(w, a).Write(part); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, closer := range []io.Closer{z, a, g} {
			if err := closer.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if zipped.Len() > 1<<20 || tarred.Len() > 1<<20 {
			t.Fatalf("%s: archives of %d and %d bytes are no bombs", name, zipped.Len(), tarred.Len())
		}
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f.want(f.send(http.MethodPost, "/api/v1/hooks", "application/zip", zipped.Bytes()), 400, "validation_failed")
			f.want(f.send(http.MethodPost, "/api/v1/hooks", "application/gzip", tarred.Bytes()), 400, "validation_failed")
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 60<<20 {
				t.Errorf("%d MB were allocated", used>>20)
			}
		})
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.push(slugHook("one"))
	f.push(slugHook("two"))
	if got := f.call(http.MethodPost, "/api/v1/hooks/1/activate", nil); got.status != http.StatusOK || f.active() != "1" || f.slug() != "one" {
		t.Errorf("rollback: %+v", got)
	}
	f.want(f.call(http.MethodDelete, "/api/v1/hooks/1", nil), http.StatusConflict, "hooks_version_active")
	if got := f.call(http.MethodPost, "/api/v1/hooks/deactivate", nil); got.status != http.StatusNoContent || f.active() != "" || f.slug() != "" {
		t.Errorf("off: %+v", got)
	}
	if got := f.call(http.MethodPost, "/api/v1/hooks/deactivate", nil); got.status != http.StatusNoContent {
		t.Errorf("off twice: %+v", got)
	}
	if got := f.call(http.MethodDelete, "/api/v1/hooks/2", nil); got.status != http.StatusNoContent {
		t.Errorf("delete: %+v", got)
	}
	if third := f.push(slugHook("three")); third.ID != "3" {
		t.Errorf("the number 2 was used again: %+v", third)
	}
	for _, c := range []struct{ method, path string }{
		{http.MethodGet, "/api/v1/hooks/2"}, {http.MethodGet, "/api/v1/hooks/two"}, {http.MethodDelete, "/api/v1/hooks/2"},
		{http.MethodPost, "/api/v1/hooks/2/activate"}, {http.MethodGet, "/api/v1/hooks/2/diff"}, {http.MethodGet, "/api/v1/hooks/1/diff?to=2"},
	} {
		f.want(f.call(c.method, c.path, nil), http.StatusNotFound, "hooks_version_not_found")
	}
	if !strings.Contains(f.recorded(), "hook.deactivated hook 1") || !strings.Contains(f.recorded(), "hook.deleted hook 2") {
		t.Errorf("audit trail:\n%s", f.recorded())
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, files := range []map[string]string{
		{"main.pb.js": slugHook("one"), "gone.js": "1\n", "same.js": "2\n"},
		{"main.pb.js": slugHook("two"), "came.js": "3\n", "same.js": "2\n"},
	} {
		if got := f.call(http.MethodPost, "/api/v1/hooks", map[string]any{"files": files}); got.status != http.StatusCreated {
			t.Fatalf("%+v", got)
		}
	}
	for _, path := range []string{"/api/v1/hooks/1/diff", "/api/v1/hooks/1/diff?to=2"} {
		var diff versionDiff
		f.call(http.MethodGet, path, nil).into(t, &diff)
		if diff.From != "1" || diff.To != "2" || len(diff.Files) != 3 {
			t.Fatalf("%+v", diff)
		}
		for i, want := range []struct{ path, change, text string }{
			{"came.js", "added", "--- /dev/null\n+++ b/came.js\n"},
			{"gone.js", "removed", "+++ /dev/null\n"},
			{"main.pb.js", "changed", "-  e.record.set('slug', 'one')\n+  e.record.set('slug', 'two')\n"},
		} {
			if got := diff.Files[i]; got.Path != want.path || got.Change != want.change || !strings.Contains(got.Diff, want.text) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
	}
	f.call(http.MethodPost, "/api/v1/hooks/deactivate", nil)
	f.want(f.call(http.MethodGet, "/api/v1/hooks/1/diff", nil), http.StatusConflict, "hooks_inactive")
}

// Fifty are kept, and beside them what must not go.
func TestVersionsArePruned(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.push(slugHook("first"))
	store := func(i int) {
		f.t.Helper()
		files := map[string]string{"main.pb.js": fmt.Sprintf("// %d\n", i)}
		if got := f.call(http.MethodPost, "/api/v1/hooks", map[string]any{"files": files, "activate": false}); got.status != http.StatusCreated {
			t.Fatalf("%+v", got)
		}
	}
	for i := range maxVersions + 5 {
		store(i)
	}
	list := f.list()
	if n := len(list.Items); n != maxVersions+1 {
		t.Errorf("%d versions are kept", n)
	}
	if oldest := list.Items[len(list.Items)-1]; oldest.ID != "1" || !oldest.Active || f.slug() != "first" {
		t.Errorf("the active version is gone: %+v", oldest)
	}
}

// Off in the settings is off, without forgetting which version is active.
func TestDisabled(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.push(slugHook("one"))
	on := f.settings.Load()
	off := *on
	off.JSHooks.Enabled = false
	f.settings.Store(&off)
	eventually(t, "the end of the hooks", func() bool { return f.slug() == "" })
	if list := f.list(); list.Enabled || *list.Active != "1" || list.Running != nil {
		t.Errorf("%+v", list)
	}
	if _, ok := f.Check(t.Context()); ok {
		t.Error("the health check looks at hooks that are off")
	}
	f.settings.Store(on)
	eventually(t, "the return of the hooks", func() bool { return f.slug() == "one" })
}

func TestTypes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	if got := f.call(http.MethodGet, "/api/v1/hooks/types.d.ts", nil); got.status != http.StatusOK || !strings.Contains(got.text, "$app") {
		t.Errorf("%d %.100s", got.status, got.text)
	}
}

// The same files always have the same sum, and come back as they were.
func TestPack(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{"a.pb.js": []byte("<&>\u2028\x00"), "b.js": {}}
	content, sum, err := pack(files)
	if err != nil {
		t.Fatal(err)
	}
	if _, again, _ := pack(files); again != sum {
		t.Error("the sum differs")
	}
	back, err := unpack(content)
	if err != nil || len(back) != 2 || string(back["a.pb.js"]) != "<&>\u2028\x00" {
		t.Errorf("%v, %v", back, err)
	}
	worst := map[string][]byte{"a.pb.js": bytes.Repeat([]byte{1}, hookfiles.MaxBytes)}
	if content, _, err = pack(worst); err == nil {
		back, err = unpack(content)
	}
	if err != nil || len(back["a.pb.js"]) != hookfiles.MaxBytes {
		encoded, _ := json.Marshal(string(worst["a.pb.js"]))
		t.Errorf("%v: %d bytes of JSON", err, len(encoded))
	}
}
