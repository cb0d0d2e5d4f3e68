package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReadProject(t *testing.T) {
	for name, c := range map[string]struct {
		manifest, has, types, url string
		options                   devOptions
	}{
		"no package":         {url: "PICOBASE_URL"},
		"next":               {manifest: `{"dependencies":{"next":"1","react":"1","@picobase/client":"1"}}`, types: "src/picobase.ts", url: "NEXT_PUBLIC_PICOBASE_URL"},
		"vite, for tests":    {manifest: `{"devDependencies":{"vite":"1"}}`, url: "VITE_PICOBASE_URL"},
		"svelte kit":         {manifest: `{"dependencies":{"@picobase/client":"1"},"devDependencies":{"@sveltejs/kit":"1","vite":"1"}}`, types: "src/lib/picobase.ts", url: "PUBLIC_PICOBASE_URL"},
		"svelte kit, as now": {manifest: `{"devDependencies":{"@sveltejs/kit":"1","@picobase/client":"1"}}`, has: "src/picobase.ts", types: "src/picobase.ts", url: "PUBLIC_PICOBASE_URL"},
		"node":               {manifest: `{"dependencies":{"@picobase/client":"1"}}`, types: "src/picobase.ts", url: "PICOBASE_URL"},
		"no types":           {manifest: `{"dependencies":{"@picobase/client":"1"}}`, options: devOptions{NoTypes: true}, url: "PICOBASE_URL"},
		"types named":        {options: devOptions{Types: "x.ts"}, types: "x.ts", url: "PICOBASE_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for path, content := range map[string]string{"package.json": c.manifest, c.has: "x"} {
				if path == "" || content == "" {
					continue
				}
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			app, err := readProject(c.options)
			if err != nil || filepath.ToSlash(app.types) != c.types || app.urlName != c.url {
				t.Errorf("%+v, %v", app, err)
			}
		})
	}
}

func TestParseLog(t *testing.T) {
	t.Parallel()
	entry, ok := parseLog([]byte(`{"time":"x","level":"ERROR","msg":"hooks not loaded","at":"a.js:1:2","problem":"no \u001b[31m","version":""}`))
	if want := "ERROR hooks not loaded at=a.js:1:2 problem=no \uFFFD[31m"; !ok || entry.String() != want {
		t.Errorf("%q, want %q", entry, want)
	}
	for _, line := range []string{"", "panic: x", "{", `{"a":1}`, "[]"} {
		if _, ok := parseLog([]byte(line)); ok {
			t.Errorf("%q was taken for a log", line)
		}
	}
}

func TestLocalPort(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://127.0.0.1:8095": "8095", "http://localhost:8095/": "8095", "https://app.example.com:8095": "", "": "", "http://localhost": "",
	} {
		if got := (devApp{env: "URL=" + url, urlName: "URL"}).localPort(); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
