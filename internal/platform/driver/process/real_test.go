//go:build linux

package process

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/apikey"
	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/secret"
)

// realBinary returns the server itself, where others can reach it. `make build`
// makes it; without it tests are skipped by name, or fail with NO_SKIP=1.
func realBinary(t *testing.T) string {
	t.Helper()
	built, err := filepath.Abs("../../../../bin/picobase")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(built)
	if err != nil {
		if os.Getenv("NO_SKIP") != "" {
			t.Fatal(err)
		}
		t.Skip("no bin/picobase: run make build")
	}
	path := filepath.Join(openDir(t), "picobase")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func call(t *testing.T, method, address, path, key string, body string) (int, string) {
	t.Helper()
	client, base, err := driver.Client(address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", key)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func spec(t *testing.T, id string) (s driver.Spec, secretKey string) {
	t.Helper()
	key, stored, err := apikey.New(apikey.Secret, "of the platform", []string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := apikey.Format([]apikey.Stored{stored})
	if err != nil {
		t.Fatal(err)
	}
	return driver.Spec{ID: id, Memory: 512 << 20, CPU: 2, Env: map[string]secret.String{
		"PICOBASE_FIRST_KEYS": secret.New(text), "PICOBASE_ROUTERS": secret.New("unix"),
	}}, key
}

func TestRealServer(t *testing.T) {
	t.Parallel()
	for name, ports := range map[string]bool{"socket": false, "port": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Dir: openDir(t), Binary: realBinary(t), Ports: ports}
			r := newRig(t, cfg)
			s, key := spec(t, "one")
			status := r.started(s)
			if code, body := call(t, http.MethodGet, status.URL, "/api/v1/keys", key, ""); code != 200 || !strings.Contains(body, "of the platform") {
				t.Errorf("keys: %d %s", code, body)
			}
			if code, body := call(t, http.MethodPost, status.URL, "/api/collections", key, `{"name":"notes","type":"base","fields":[{"name":"n","type":"number"}]}`); code != 200 {
				t.Fatalf("make a collection: %d %s", code, body)
			}
			if code, body := call(t, http.MethodPost, status.URL, "/api/collections/notes/records", key, `{"n":7}`); code != 200 {
				t.Fatalf("make a record: %d %s", code, body)
			}

			// A restore replaces the program, not the process: the listener stays.
			if code, body := call(t, http.MethodPost, status.URL, "/api/v1/backups", key, `{}`); code >= 300 {
				t.Fatalf("make a backup: %d %s", code, body)
			}
			var id string
			deadline := time.Now().Add(patience)
			for id == "" && time.Now().Before(deadline) {
				_, body := call(t, http.MethodGet, status.URL, "/api/v1/backups", key, "")
				var list struct {
					Items []struct{ ID, Status string }
				}
				r.no(json.Unmarshal([]byte(body), &list))
				if len(list.Items) > 0 && list.Items[0].Status == "ok" {
					id = list.Items[0].ID
				}
			}
			before := r.tenants["one"].state.Process
			if code, body := call(t, http.MethodPost, status.URL, "/api/v1/backups/"+id+"/restore", key, `{}`); code >= 300 {
				t.Fatalf("restore %q: %d %s", id, code, body)
			}
			for restored := false; !restored; {
				if time.Now().After(deadline) {
					t.Fatal("the restore does not end")
				}
				client, base, err := driver.Client(status.URL)
				r.no(err)
				request, err := http.NewRequest(http.MethodGet, base+"/api/v1/backups/pitr", nil)
				r.no(err)
				request.Header.Set("X-API-Key", key)
				if response, err := client.Do(request); err == nil { // it is away for a moment
					content, _ := io.ReadAll(response.Body)
					_ = response.Body.Close()
					restored = strings.Contains(string(content), `"status":"done"`)
				}
				client.CloseIdleConnections()
				time.Sleep(10 * time.Millisecond)
			}
			if again := r.is("one"); again.State != driver.Running || *r.tenants["one"].state.Process != *before {
				t.Errorf("after the restart: %+v", again)
			}

			// A restart of the platform, then a stop that is clean all the same.
			r.no(r.Close())
			second := newRig(t, cfg)
			if code, body := call(t, http.MethodGet, second.is("one").URL, "/api/collections/notes/records", key, ""); code != 200 || !strings.Contains(body, `"n":7`) {
				t.Errorf("records: %d %s", code, body)
			}
			second.no(second.Stop(second.ctx, "one"))
			if status := second.is("one"); status.State != driver.Stopped || status.ExitCode != 0 {
				t.Errorf("after the stop: %+v", status)
			}
			reader, err := second.Logs(second.ctx, "one", driver.LogOptions{Tail: 1})
			second.no(err)
			line, err := io.ReadAll(reader)
			second.no(err)
			second.no(reader.Close())
			if !strings.Contains(string(line), "stopped") {
				t.Errorf("the last line is %q", line)
			}
			second.no(second.Start(second.ctx, "one"))
			ready, err := driver.WaitReady(second.ctx, second.Driver, "one")
			second.no(err)
			if code, body := call(t, http.MethodGet, ready.URL, "/api/collections/notes/records", key, ""); code != 200 || !strings.Contains(body, `"n":7`) {
				t.Errorf("records after the start: %d %s", code, body)
			}
		})
	}
}

// One tenant begins as a copy of another, whose folder it cannot read.
func TestBranchOfAnotherTenant(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: openDir(t), Binary: realBinary(t)}
	r := newRig(t, cfg)
	s, key := spec(t, "one")
	status := r.started(s)
	if code, body := call(t, http.MethodPost, status.URL, "/api/collections", key, `{"name":"notes","type":"base","fields":[{"name":"n","type":"number"}]}`); code != 200 {
		t.Fatalf("make a collection: %d %s", code, body)
	}
	if code, body := call(t, http.MethodPost, status.URL, "/api/collections/notes/records", key, `{"n":7}`); code != 200 {
		t.Fatalf("make a record: %d %s", code, body)
	}
	if _, body := call(t, http.MethodGet, status.URL, "/api/v1/due", key, ""); !strings.Contains(body, `"synced":true`) {
		t.Fatalf("due: %s", body)
	}
	// A link out of the original's folder is not followed.
	trap := filepath.Join(cfg.Dir, "one", "data", "storage", "a", "b")
	r.no(os.MkdirAll(trap, 0o755))
	r.no(os.Symlink("/etc/hostname", filepath.Join(trap, "stolen.txt")))

	branch, branchKey := spec(t, "two")
	branch.Env[branchEnv] = secret.New(filepath.Join(cfg.Dir, "one", "data"))
	status = r.started(branch)
	if code, body := call(t, http.MethodGet, status.URL, "/api/collections/notes/records", branchKey, ""); code != 200 || !strings.Contains(body, `"n":7`) {
		t.Errorf("records of the branch: %d %s", code, body)
	}
	if code, _ := call(t, http.MethodGet, status.URL, "/api/collections/notes/records", key, ""); code != 401 {
		t.Errorf("the original's key: %d", code)
	}
	if _, err := os.Lstat(filepath.Join(cfg.Dir, "two", "data", "storage", "a", "b", "stolen.txt")); err == nil {
		t.Error("a link was followed")
	}
	r.no(r.Stop(r.ctx, "two"))
	status = r.started(branch)
	if code, _ := call(t, http.MethodGet, status.URL, "/api/collections/notes/records", branchKey, ""); code != 200 {
		t.Errorf("after another start: %d", code)
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, "two", "branch")); err == nil && r.uids {
		t.Error("the copy is left")
	}
}

// A server that cannot start says why.
func TestRealServerThatCannotStart(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Dir: openDir(t), Binary: realBinary(t)})
	s, _ := spec(t, "one")
	s.Env["PICOBASE_ROUTERS"] = secret.New("nonsense")
	r.no(r.Create(r.ctx, s))
	r.no(r.Start(r.ctx, "one"))
	_, err := driver.WaitReady(r.ctx, r.Driver, "one")
	if err == nil || !strings.Contains(err.Error(), "PICOBASE_ROUTERS") || !strings.Contains(err.Error(), "exit code 1") {
		t.Errorf("%v", err)
	}
}

// TestStartLatency measures, and is asked for by MEASURE=1.
func TestStartLatency(t *testing.T) {
	if os.Getenv("MEASURE") == "" {
		t.Skip("MEASURE=1 measures the time from Start to ready")
	}
	for name, ports := range map[string]bool{"socket": false, "port": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{Dir: openDir(t), Binary: realBinary(t), Ports: ports})
			s, _ := spec(t, "one")
			r.started(s)
			var took, stops []time.Duration
			for range cmp.Or(60, 0) {
				begin := time.Now()
				r.no(r.Stop(r.ctx, "one"))
				stops = append(stops, time.Since(begin))
				begin = time.Now()
				r.no(r.Start(r.ctx, "one"))
				_, err := driver.WaitReady(r.ctx, r.Driver, "one")
				r.no(err)
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			slices.Sort(stops)
			t.Logf("start to ready: p50 %v p95 %v max %v; stop: p50 %v p95 %v", took[len(took)/2], took[len(took)*95/100], took[len(took)-1],
				stops[len(stops)/2], stops[len(stops)*95/100])
		})
	}
}
