package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hooksServer plays the hooks' API: version 3 is active, and an upload that says
// "bad" is.
func hooksServer(t *testing.T, active string) (url string, asked *[]string) {
	t.Helper()
	asked = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*asked = append(*asked, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		version := func(id string) map[string]any {
			return map[string]any{"id": id, "active": id == active, "files": 2, "size": 1200, "sha256": "0123456789abcdef", "label": "a\nb"}
		}
		var answer any = version("4")
		switch r.Method + " " + r.URL.Path {
		case "GET " + hooksPath:
			answer = map[string]any{
				"items": []any{version("4"), version("3"), version("2")}, "active": nil, "enabled": true,
				"problems": []any{map[string]any{"source": "folder", "file": "x.pb.js", "line": 3, "column": 7, "message": "no"}},
			}
		case "GET " + hooksPath + "/2/diff":
			answer = map[string]any{"files": []any{map[string]any{"diff": "--- a/x\n+++ b/x\n"}}}
		case "GET " + hooksPath + "/logs":
			answer = map[string]any{"items": []any{
				map[string]any{"time": "t2", "level": "error", "message": "two\nlines", "version": "3", "hook": "cron x", "file": "x.pb.js", "line": 3},
				map[string]any{"time": "t1", "level": "info", "message": "one", "version": "3", "hook": "onX", "requestId": "r"},
			}}
		case "GET " + hooksPath + "/secrets":
			answer = map[string]any{"items": []any{map[string]any{"name": "TOKEN", "updated": "2026-01-01T00:00:00Z", "updatedBy": "cli:ann"}}}
		}
		if strings.Contains(string(body), "bad") {
			w.WriteHeader(http.StatusUnprocessableEntity)
			answer = map[string]any{"error": map[string]any{"code": "hooks_invalid", "message": "Not loaded.", "details": map[string]any{
				"problems": []any{map[string]any{"file": "a.pb.js", "line": 3, "column": 7, "message": "first\nsecond"}},
			}}}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func runHooks(t *testing.T, url, stdin string, args ...string) outcome {
	t.Helper()
	return runCommand(t, NewHooks, append([]string{"hooks", "--url", url, "--key", "pbk_sec_x"}, args...), stdin)
}

func TestHooks(t *testing.T) {
	t.Parallel()
	good, bad, empty := t.TempDir(), t.TempDir(), t.TempDir()
	for at, text := range map[string]string{
		filepath.Join(good, "a.pb.js"): "good", filepath.Join(good, "lib.js"): "module", filepath.Join(good, "notes.md"): "not sent",
		filepath.Join(bad, "a.pb.js"): "bad", filepath.Join(empty, "lib.js"): "module",
	} {
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		args  string
		stdin string
		code  int
		texts []string // of the output
		asked string   // the last request
	}{
		"push":           {"push " + good + " --label x", "", 0, []string{"Version 4 is stored, not active: 2 files, 1.2 kB."}, `"files":{"a.pb.js":"good","lib.js":"module"},"label":"x"`},
		"push as JSON":   {"push " + good + " --json --no-activate", "", 0, []string{`"id":"4"`}, `"activate":false`},
		"dry run":        {"push " + good + " --dry-run", "", 0, []string{"Nothing was changed"}, `"dryRun":true`},
		"bad":            {"push " + bad, "", 1, []string{"a.pb.js:3:7: first\n    second", "hooks_invalid"}, ""},
		"no hooks":       {"push " + empty, "", 2, []string{"no *.pb.js"}, ""},
		"no folder":      {"push " + empty + "/x", "", 2, []string{"no folder"}, ""},
		"two folders":    {"push a b", "", 2, nil, ""},
		"list":           {"list", "", 0, []string{"3        active", "0123456789ab  ", "a b", "the folder is not loaded: x.pb.js:3:7: no", "No version is active"}, ""},
		"list as JSON":   {"list --json", "", 0, []string{`"problems":[`}, ""},
		"back":           {"rollback", "", 0, []string{"Version 4 is active"}, "POST /api/v1/hooks/2/activate"},
		"back to one":    {"rollback 1/2", "", 0, nil, "POST /api/v1/hooks/1%2F2/activate"},
		"back to two":    {"rollback 1 2", "", 2, nil, ""},
		"diff":           {"diff 2 3", "", 0, []string{"--- a/x\n+++ b/x\n"}, "GET /api/v1/hooks/2/diff?to=3"},
		"diff of one":    {"diff 2", "", 2, nil, ""},
		"off unasked":    {"off", "", 2, nil, ""},
		"off":            {"off --yes", "", 0, []string{"All hooks are off"}, "POST /api/v1/hooks/deactivate"},
		"logs":           {"logs --level warn --request r", "", 0, []string{"t1  info   v3  onX  r  one\nt2  error  v3  cron x  x.pb.js:3    two\n    lines"}, "level=warn&perPage=50&requestId=r"},
		"logs as JSON":   {"logs --json", "", 0, []string{`{"hook":"onX"`}, ""},
		"set":            {"secrets set TOKEN", "value\n", 0, []string{"Set TOKEN"}, `PUT /api/v1/hooks/secrets/TOKEN {"value":"value"}`},
		"set to nothing": {"secrets set TOKEN", "\n", 2, []string{"standard input"}, ""},
		"secrets":        {"secrets list", "", 0, []string{"TOKEN", "cli:ann"}, ""},
		"delete":         {"secrets delete TOKEN --yes", "", 0, []string{"Deleted TOKEN"}, "DELETE /api/v1/hooks/secrets/TOKEN"},
		"delete unasked": {"secrets delete TOKEN", "", 2, nil, ""},
	} {
		url, asked := hooksServer(t, "3")
		got := runHooks(t, url, c.stdin, strings.Fields(c.args)...)
		got.want(t, name, c.code, c.texts...)
		if c.asked != "" && (len(*asked) == 0 || !strings.Contains((*asked)[len(*asked)-1], c.asked)) {
			t.Errorf("%s: asked %q, want %s", name, *asked, c.asked)
		}
	}
}

func TestHooksRollbackToNothing(t *testing.T) {
	t.Parallel()
	for active, text := range map[string]string{"2": "no version before the active one", "none": "no version is active"} {
		url, _ := hooksServer(t, active)
		runHooks(t, url, "", "rollback").want(t, active, ExitNotFound, text)
	}
}

func TestHooksTypes(t *testing.T) {
	t.Parallel()
	url, _ := hooksServer(t, "3")
	file := filepath.Join(t.TempDir(), "types.d.ts")
	runHooks(t, url, "", "types", "--output", file).want(t, "to a file", 0, "Wrote "+file)
	if content, err := os.ReadFile(file); err != nil || !strings.Contains(string(content), `"id":"4"`) {
		t.Errorf("wrote %s, %v", content, err)
	}
}

// Whoever sends requests may choose what a hook logs: it must not reach the
// terminal as anything but text.
func TestHookLogsDoNotCommandTheTerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	entry := `{"time":"t","level":"info","message":"a\u001b]0;owned\u0007b\u009b2Jc\nsecond line\tü","requestId":"r\u001b[2J"}`
	if err := printHookLog(&out, entry, false); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.ContainsAny(got, "\x1b\x07\u009b") || !strings.Contains(got, "second line\tü") {
		t.Errorf("%q", got)
	}
}
