package cli

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// fakeServer plays the backups' API.
type fakeServer struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	content  []byte // of every zip
	sha256   string // as the API tells it
	status   string // of a new snapshot
	after    string // its status when it is asked for again
	err      string // its error
	down     int    // how many questions are answered by a proxy, or not at all
	forgets  bool   // the restored state does not know the key
	outcome  string // of a restore
	cut      int    // where a download breaks off
	restore  map[string]any
	requests []string
	bodies   []string
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	var content bytes.Buffer
	z := zip.NewWriter(&content)
	for name, text := range map[string]string{"data.db": strings.Repeat("database", 9000), "storage/a/b/c.txt": "text"} {
		to, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(to, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content.Bytes())
	s := &fakeServer{t: t, content: content.Bytes(), sha256: hex.EncodeToString(sum[:]), status: "ok", after: "ok", outcome: "done"}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *fakeServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.bodies = append(s.bodies, string(body))
	path := strings.TrimPrefix(r.URL.Path, backupsPath)
	if s.restore != nil && s.down > 0 && path != "/x.zip/restore" {
		s.down--
		if s.down%2 == 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		panic(http.ErrAbortHandler)
	}
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"code":%q,"message":"No."}}`, code)
	}
	answer := func(status int, value any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(value)
	}
	switch {
	case r.URL.Path == "/api/v1/ready":
	case r.Header.Get("X-API-Key") != "pbk_sec_x":
		refuse(http.StatusUnauthorized, "unauthorized")
	case s.forgets && s.restore != nil && path == "/pitr" && r.Method == http.MethodGet:
		refuse(http.StatusUnauthorized, "unauthorized")
	case strings.HasPrefix(path, "/missing.zip"):
		refuse(http.StatusNotFound, "not_found")
	case strings.HasPrefix(path, "/forbidden.zip"):
		refuse(http.StatusForbidden, "forbidden")
	case path == "" && r.Method == http.MethodGet:
		answer(200, map[string]any{"items": []any{s.snapshot("x.zip", "ok"), s.snapshot("y.zip", "failed")}, "drill": nil})
	case path == "" && r.Method == http.MethodPost:
		answer(201, s.snapshot("x.zip", s.status))
	case path == "/pitr" && r.Method == http.MethodGet:
		if s.restore != nil {
			s.restore["status"] = s.outcome
		}
		answer(200, map[string]any{"enabled": true, "from": "2026-11-01T00:00:00Z", "to": "2026-11-25T00:00:00Z", "lagSeconds": 1.5, "lastRestore": s.restore})
	case path == "/pitr" || path == "/x.zip/restore":
		s.restore = map[string]any{"id": "r1", "status": "preparing", "before": "kept.zip", "error": map[string]string{"failed": "the store is away"}[s.outcome]}
		answer(202, s.restore)
	case path == "/x.zip/verify":
		answer(200, s.snapshot("x.zip", s.after))
	case path == "/x.zip/download":
		w.Header().Set("ETag", `"`+s.sha256+`"`)
		if s.cut > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(len(s.content)))
			_, _ = w.Write(s.content[:s.cut])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content))
	case path == "/x.zip" && r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut:
		answer(201, s.snapshot(strings.TrimPrefix(path, "/"), "ok"))
	case path == "/x.zip":
		answer(200, s.snapshot("x.zip", s.after))
	default:
		s.t.Errorf("%s %s is no call of the API", r.Method, r.URL.Path)
	}
}

func (s *fakeServer) snapshot(id, status string) map[string]any {
	return map[string]any{
		"id": id, "kind": "manual", "status": status, "label": "two\nlines", "created": time.Now().Add(-200 * time.Minute), "at": time.Now().Add(-200 * time.Minute),
		"size": len(s.content), "sha256": s.sha256, "verified": nil, "error": s.err, "database": map[string]any{"bytes": 7}, "files": 1, "fileBytes": 4,
	}
}

// outcome is what a command did.
type outcome struct {
	out, notes string
	code       int
	err        error
}

// runBackups runs the command as main does.
func runBackups(t *testing.T, server *fakeServer, stdin string, args ...string) outcome {
	t.Helper()
	return runAt(t, server.URL, "pbk_sec_x", stdin, args...)
}

func runAt(t *testing.T, url, key, stdin string, args ...string) outcome {
	t.Helper()
	return runCommand(t, NewBackups, append([]string{"backups", "--url", url, "--key", key}, args...), stdin)
}

// runCommand runs a command as main does.
func runCommand(t *testing.T, make func(Connect) *cobra.Command, args []string, stdin string) outcome {
	t.Helper()
	cmd := make(func(_ context.Context, target Target) (*Client, io.Closer, error) {
		client, err := NewClient(target.URL, target.Key, nil)
		if err == nil {
			client.poll = time.Millisecond
		}
		return client, io.NopCloser(nil), err
	})
	root := &cobra.Command{Use: "picobase", SilenceErrors: true, SilenceUsage: true}
	root.PersistentFlags().String("dir", "pb_data", "")
	root.AddCommand(cmd)
	var out, notes bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&notes)
	root.SetIn(strings.NewReader(stdin))
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return outcome{out.String(), notes.String(), ExitCode(err), err}
}

func (o outcome) want(t *testing.T, name string, code int, texts ...string) {
	t.Helper()
	all := fmt.Sprintf("%s\n%s\n%v", o.out, o.notes, o.err)
	if o.code != code {
		t.Errorf("%s: exit %d, want %d\n%s", name, o.code, code, all)
	}
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%s: no %q in\n%s", name, text, all)
		}
	}
}

func TestBackups(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args    string
		stdin   string
		prepare func(*fakeServer)
		code    int
		want    []string
		call    string // the last one
		body    string // of the first
	}{
		"create":              {args: "create --label x", want: []string{"x.zip", "and read it back"}, call: "POST ", body: `{"label":"x"}`},
		"create as JSON":      {args: "create --json", want: []string{`"database":{"bytes":7}`}, call: "POST ", body: `{}`},
		"create of then":      {args: "create --at 2026-11-25T03:15:00Z", call: "POST ", body: `{"at":"2026-11-25T03:15:00Z"}`},
		"create of nonsense":  {args: "create --at yesterday", code: ExitUsage, want: []string{"is no time"}},
		"create takes long":   {args: "create", prepare: func(s *fakeServer) { s.status = "creating" }, want: []string{"x.zip"}, call: "GET /x.zip"},
		"create fails later":  {args: "create", prepare: func(s *fakeServer) { s.status, s.after, s.err = "creating", "failed", "the disk is full" }, code: ExitFailed, want: []string{"x.zip failed: the disk is full"}, call: "GET /x.zip"},
		"list":                {args: "list", want: []string{"ID ", "x.zip  manual  ok ", " 3h ", "two lines"}, call: "GET "},
		"list as JSON":        {args: "list --json", want: []string{`{"drill":null,"items":[{"at":`}, call: "GET "},
		"verify":              {args: "verify x.zip", want: []string{"x.zip is whole"}, call: "POST /x.zip/verify"},
		"verify a bad one":    {args: "verify x.zip", prepare: func(s *fakeServer) { s.after, s.err = "failed", "bit rot" }, code: ExitFailed, want: []string{"bit rot"}, call: "POST /x.zip/verify"},
		"verify bad as JSON":  {args: "verify x.zip --json", prepare: func(s *fakeServer) { s.after = "failed" }, code: ExitFailed, want: []string{`"status":"failed"`}, call: "POST /x.zip/verify"},
		"verify none":         {args: "verify missing.zip", code: ExitNotFound, want: []string{"No. (not_found)"}, call: "POST /missing.zip/verify"},
		"verify not allowed":  {args: "verify forbidden.zip", code: ExitNotAllowed, call: "POST /forbidden.zip/verify"},
		"delete":              {args: "delete x.zip --yes", want: []string{"Deleted x.zip."}, call: "DELETE /x.zip"},
		"delete as JSON":      {args: "delete x.zip --yes --json", want: []string{`{"id":"x.zip"}`}, call: "DELETE /x.zip"},
		"delete, asked":       {args: "delete x.zip", stdin: "y\n", want: []string{"Delete the backup x.zip?"}, call: "DELETE /x.zip"},
		"delete, no":          {args: "delete x.zip", stdin: "\n", code: ExitFailed, want: []string{"nothing was changed"}},
		"delete, nobody":      {args: "delete x.zip", code: ExitUsage, want: []string{"add --yes"}},
		"delete none":         {args: "delete missing.zip --yes", code: ExitNotFound, call: "DELETE /missing.zip"},
		"window":              {args: "window", want: []string{"From 2026-11-01T00:00:00Z\nTo   2026-11-25T00:00:00Z (2 s behind)"}, call: "GET /pitr"},
		"window as JSON":      {args: "window --json", want: []string{`"lagSeconds":1.5`}, call: "GET /pitr"},
		"restore":             {args: "restore --id x.zip --yes", want: []string{"The present state was kept as kept.zip.", "is back at x.zip", "restore --id kept.zip"}, call: "GET /pitr"},
		"restore then":        {args: "restore --at 2026-11-25T03:15:00Z --yes --json", want: []string{`"status":"done"`}, call: "GET /pitr", body: `{"at":"2026-11-25T03:15:00Z"}`},
		"restore, asked":      {args: "restore --id x.zip", stdin: "yes\n", want: []string{"Replace the project's present state by that of x.zip?"}, call: "GET /pitr"},
		"restore, nobody":     {args: "restore --id x.zip", code: ExitUsage},
		"restore, restarting": {args: "restore --id x.zip --yes", prepare: func(s *fakeServer) { s.down = 6 }, want: []string{"preparing …\n", "restarting …\n", "is back at"}, call: "GET /pitr"},
		"restore fails":       {args: "restore --id x.zip --yes", prepare: func(s *fakeServer) { s.outcome = "failed" }, code: ExitFailed, want: []string{"the restore failed: the store is away"}, call: "GET /pitr"},
		"restore, too long":   {args: "restore --id x.zip --yes --timeout 100ms", prepare: func(s *fakeServer) { s.outcome = "preparing" }, code: ExitFailed, want: []string{"not over after 100ms"}},
		"restore loses key":   {args: "restore --id x.zip --yes", prepare: func(s *fakeServer) { s.forgets = true }, code: ExitNotAllowed, want: []string{"no longer takes this key"}, call: "GET /pitr"},
		"restore none":        {args: "restore --id missing.zip --yes", code: ExitNotFound, call: "POST /missing.zip/restore"},
		"restore what":        {args: "restore --yes", code: ExitUsage, want: []string{"either --id or --at"}},
		"restore two":         {args: "restore --id x.zip --at 2026-11-25T03:15:00Z", code: ExitUsage},
		"no such verb":        {args: "frobnicate", code: ExitUsage},
		"no ID":               {args: "verify", code: ExitUsage},
		"download to two":     {args: "download x.zip --output - --json", code: ExitUsage},
		"download none":       {args: "download missing.zip", code: ExitNotFound, call: "GET /missing.zip"},
		"download too early":  {args: "download x.zip", prepare: func(s *fakeServer) { s.after = "creating" }, code: ExitFailed, want: []string{"still being made"}, call: "GET /x.zip"},
		"upload no file":      {args: "upload /nowhere.zip", code: ExitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newFakeServer(t)
			if c.prepare != nil {
				c.prepare(server)
			}
			runBackups(t, server, c.stdin, strings.Fields(c.args)...).want(t, name, c.code, c.want...)
			server.mu.Lock()
			defer server.mu.Unlock()
			last := ""
			if len(server.requests) > 0 {
				last = server.requests[len(server.requests)-1]
			}
			method, path, _ := strings.Cut(c.call, " ")
			if c.call != "" && last != method+" "+backupsPath+path || c.call == "" && c.code == ExitUsage && last != "" {
				t.Errorf("called %v, want %q", server.requests, c.call)
			}
			if c.body != "" && strings.TrimSpace(server.bodies[0]) != c.body {
				t.Errorf("sent %s, want %s", server.bodies[0], c.body)
			}
		})
	}
}

func TestBackupsReachNobody(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.zip")
	if err := os.WriteFile(file, []byte("zip"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := newFakeServer(t)
	for _, args := range []string{
		"create", "list", "download x.zip", "upload " + file, "verify x.zip", "delete x.zip --yes", "restore --id x.zip --yes",
		"restore --at 2026-11-25T03:15:00Z --to " + file + ".d", "window",
	} {
		runAt(t, "http://127.0.0.1:1", "pbk_sec_x", "", strings.Fields(args)...).want(t, args, ExitUnreachable, "no answer from")
		runAt(t, server.URL, "pbk_sec_wrong", "", strings.Fields(args)...).want(t, args, ExitNotAllowed, "No. (unauthorized)")
	}
}

func TestDownload(t *testing.T) {
	t.Parallel()
	half := func(s *fakeServer) []byte { return s.content[:len(s.content)/2] }
	for name, c := range map[string]struct {
		part    func(*fakeServer) []byte // what is there already
		prepare func(*fakeServer)
		code    int
		want    string
		whole   bool // the file is there in the end
		left    bool // the part is
	}{
		"fresh":                {whole: true},
		"resumed":              {part: half, whole: true},
		"all there":            {part: func(s *fakeServer) []byte { return s.content }, whole: true},
		"too much there":       {part: func(s *fakeServer) []byte { return append(half(s), make([]byte, 1<<20)...) }, whole: true},
		"of another backup":    {part: func(*fakeServer) []byte { return []byte("something else") }, code: ExitFailed, want: "is damaged"},
		"damaged":              {prepare: func(s *fakeServer) { s.sha256 = strings.Repeat("0", 64) }, code: ExitFailed, want: "is damaged"},
		"no checksum":          {part: func(*fakeServer) []byte { return []byte("something else") }, prepare: func(s *fakeServer) { s.sha256 = "" }, whole: true},
		"breaks off":           {prepare: func(s *fakeServer) { s.cut = len(s.content) / 2 }, code: ExitUnreachable, want: "broke off at", left: true},
		"broke off, once more": {part: half, whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newFakeServer(t)
			if c.prepare != nil {
				c.prepare(server)
			}
			path := filepath.Join(t.TempDir(), "out.zip")
			if c.part != nil {
				if err := os.WriteFile(path+partSuffix, c.part(server), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			runBackups(t, server, "", "download", "x.zip", "--output", path).want(t, name, c.code, c.want)
			got, err := os.ReadFile(path)
			if c.whole && !bytes.Equal(got, server.content) || !c.whole && err == nil {
				t.Errorf("the file has %d bytes, %v", len(got), err)
			}
			if _, err := os.Stat(path + partSuffix); (err == nil) != c.left {
				t.Errorf("the part: %v", err)
			}
			if c.whole {
				runBackups(t, server, "", "download", "x.zip", "--output", path).want(t, "again", ExitUsage, "already")
			}
		})
	}
	server := newFakeServer(t)
	if got := runBackups(t, server, "", "download", "x.zip", "--output", "-"); got.out != string(server.content) || got.code != 0 {
		t.Errorf("on the standard output %d bytes, %v", len(got.out), got.err)
	}
	server.sha256 = strings.Repeat("0", 64)
	runBackups(t, server, "", "download", "x.zip", "--output", "-").want(t, "damaged", ExitFailed, "is damaged")
}

// Only what is missing is asked for.
func TestDownloadResumesWithRange(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	inner := server.Config.Handler
	var header http.Header
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/download") {
			header = r.Header.Clone()
		}
		inner.ServeHTTP(w, r)
	})
	path := filepath.Join(t.TempDir(), "x.zip")
	if err := os.WriteFile(path+partSuffix, server.content[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	runBackups(t, server, "", "download", "x.zip", "--output", path).want(t, "resume", 0)
	if header.Get("Range") != "bytes=100-" || header.Get("If-Range") != `"`+server.sha256+`"` {
		t.Errorf("asked with %v", header)
	}
}

func TestDownloadFromSilentServer(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	done := make(chan struct{})
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(server.content[:10])
		w.(http.Flusher).Flush()
		<-done
	})
	t.Cleanup(func() { close(done) })
	client, err := NewClient(server.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	client.silence = 50 * time.Millisecond
	s := snapshot{snapshotFields: snapshotFields{ID: "x.zip", Size: int64(len(server.content))}}
	err = downloadFile(t.Context(), client, s, filepath.Join(t.TempDir(), "x.zip"), io.Discard)
	if ExitCode(err) != ExitUnreachable || !strings.Contains(err.Error(), "silent") {
		t.Errorf("got %v", err)
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	file := filepath.Join(t.TempDir(), "mine.zip")
	if err := os.WriteFile(file, server.content, 0o600); err != nil {
		t.Fatal(err)
	}
	runBackups(t, server, "", "upload", file).want(t, "upload", 0, "mine.zip\n", "it is whole")
	runBackups(t, server, "", "upload", file, "--id", "other.zip", "--json").want(t, "upload as", 0, `"id":"other.zip"`)
	runBackups(t, server, "", "upload", file, "--id", "forbidden.zip").want(t, "forbidden", ExitNotAllowed)
	runBackups(t, server, "", "upload", filepath.Dir(file)).want(t, "a folder", ExitUsage, "is no file")
	if server.requests[0] != "PUT "+backupsPath+"/mine.zip" || server.bodies[0] != string(server.content) {
		t.Errorf("sent %d bytes to %s", len(server.bodies[0]), server.requests[0])
	}
}

func TestRestoreTo(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	parent := t.TempDir()
	for name, args := range map[string][]string{
		"a": {"restore", "--id", "x.zip", "--to", filepath.Join(parent, "a")},
		"b": {"restore", "--at", "2026-11-25T03:15:00Z", "--to", filepath.Join(parent, "b"), "--json"},
		"c": {"restore", "--id", "x.zip", "--to", filepath.Join(parent, "deep", "c")},
	} {
		runBackups(t, server, "", args...).want(t, name, 0)
	}
	for _, name := range []string{"a", "b", "deep/c"} {
		if got, err := os.ReadFile(filepath.Join(parent, name, "storage/a/b/c.txt")); err != nil || string(got) != "text" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	runBackups(t, server, "", "restore", "--id", "x.zip", "--to", filepath.Join(parent, "a")).want(t, "not empty", ExitUsage, "is not empty")
	server.after = "failed"
	runBackups(t, server, "", "restore", "--id", "x.zip", "--to", filepath.Join(parent, "e")).want(t, "failed", ExitFailed)
	server.after, server.sha256 = "ok", strings.Repeat("0", 64)
	runBackups(t, server, "", "restore", "--id", "x.zip", "--to", filepath.Join(parent, "e")).want(t, "damaged", ExitFailed, "is damaged")
	left, err := os.ReadDir(parent)
	if err != nil || len(left) != 3 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestSizeAndAge(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_999: "1.0 MB", 12_345_678: "12.3 MB", 5e15: "5000.0 TB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d bytes: %s, want %s", bytes, got, want)
		}
	}
	now := time.Now()
	for d, want := range map[time.Duration]string{-time.Hour: "0s", 59 * time.Second: "59s", time.Hour: "1h", 47 * time.Hour: "47h", 49 * time.Hour: "2d"} {
		if got := age(now, now.Add(-d)); got != want {
			t.Errorf("%s ago: %s, want %s", d, got, want)
		}
	}
}
