package hookfiles

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.pb.js": "1", "lib/text.js": "2", "lib/deep/x.json": "{}", "examples/b.pb.js": "no entry down here",
		"README.md": "no", ".hidden.pb.js": "no", ".git/x.js": "no", "node_modules/x/index.js": "no", "types.d.ts": "no", "lib/y.cjs": "3",
	} {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "a.pb.js"), filepath.Join(dir, "linked.pb.js")); err != nil {
		t.Fatal(err)
	}
	files, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a.pb.js", "lib/deep/x.json", "lib/text.js", "lib/y.cjs", "linked.pb.js"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
	if !HasEntry(files) || Check(files) != nil {
		t.Error("the bundle is refused")
	}
	if _, err := Read(filepath.Join(dir, "missing")); !os.IsNotExist(err) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "big.js"), make([]byte, MaxBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil {
		t.Error("read more than a bundle holds")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	many := map[string][]byte{"a.pb.js": nil}
	for i := range MaxFiles {
		many[fmt.Sprintf("lib/%d.js", i)] = nil
	}
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string // part of the error, empty for none
	}{
		"good":          {map[string][]byte{"a.pb.js": []byte("1"), "lib/x.js": nil}, ""},
		"nothing":       {nil, "no *.pb.js"},
		"no entry":      {map[string][]byte{"x.js": nil}, "no *.pb.js"},
		"entry below":   {map[string][]byte{"a.pb.js": nil, "x/b.pb.js": nil}, "at the top"},
		"up":            {map[string][]byte{"../a.pb.js": nil}, "not a path"},
		"absolute":      {map[string][]byte{"/a.pb.js": nil}, "not a path"},
		"backslash":     {map[string][]byte{`lib\a.js`: nil}, "not a path"},
		"long":          {map[string][]byte{strings.Repeat("a", 200) + ".js": nil}, "not a path"},
		"other kind":    {map[string][]byte{"a.pb.js": nil, "b.wasm": nil}, "neither"},
		"hidden":        {map[string][]byte{"a.pb.js": nil, ".x/b.js": nil}, "dot files"},
		"packages":      {map[string][]byte{"a.pb.js": nil, "node_modules/b.js": nil}, "node_modules"},
		"not text":      {map[string][]byte{"a.pb.js": {0xff, 0xfe}}, "UTF-8"},
		"too many":      {many, "more than"},
		"too big":       {map[string][]byte{"a.pb.js": bytes.Repeat([]byte("a"), MaxBytes+1)}, "more than"},
		"just the size": {map[string][]byte{"a.pb.js": bytes.Repeat([]byte("a"), MaxBytes)}, ""},
	} {
		err := Check(c.files)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
