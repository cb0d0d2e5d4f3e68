package backups

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/dir"
	"github.com/picobase/picobase/internal/scope"
	_ "github.com/picobase/picobase/migrations"
	"github.com/picobase/picobase/plugins/backups/replica"
	"github.com/picobase/picobase/plugins/backups/restore"
	"github.com/picobase/picobase/plugins/backups/snapshots"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// tenant is an app with the plugin, behind a real server.
type tenant struct {
	*tests.TestApp
	plugin   *Plugin
	settings atomic.Pointer[config.Settings]
	root     string // of the stores
	url      string
	token    string
	restarts chan struct{}

	mu      sync.Mutex
	records []string // what the audit trail was told
}

func stores(root string) Stores {
	store := dir.New(root)
	return Stores{
		Replica: objectstore.Prefix(store, "replica/"), Layout: replica.LayoutFile,
		Archive: objectstore.Prefix(store, "backups/"), Catalog: objectstore.Prefix(store, "catalog/"), State: objectstore.Prefix(store, "state/"),
	}
}

func newTenant(t *testing.T, change ...func(*Config)) *tenant {
	t.Helper()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	tt := &tenant{TestApp: app, root: t.TempDir(), restarts: make(chan struct{}, 1)}
	tt.settings.Store(config.Default())
	cfg := Config{
		Settings: tt.settings.Load, Stores: stores(tt.root), Metrics: prometheus.NewRegistry(),
		Restart: func() error { tt.restarts <- struct{}{}; return nil },
		Record: func(_ *core.RequestEvent, action, target string) error {
			// An entry is a write like any other.
			if _, err := app.NonconcurrentDB().NewQuery("UPDATE _params SET updated = hex(randomblob(4))").Execute(); err != nil {
				return err
			}
			tt.mu.Lock()
			defer tt.mu.Unlock()
			tt.records = append(tt.records, action+" "+target)
			return nil
		},
		GatePriority: apis.DefaultLoadAuthTokenMiddlewarePriority - 2, DashboardPriority: apis.DefaultBodyLimitMiddlewarePriority + 2,
	}
	for _, f := range change {
		f(&cfg)
	}
	tt.plugin, err = Register(app, cfg)
	if err != nil {
		t.Fatal(err)
	}
	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	r.Bind(&hook.Handler[*core.RequestEvent]{
		Id: "testIdentify", Priority: apis.DefaultLoadAuthTokenMiddlewarePriority - 1,
		Func: func(e *core.RequestEvent) error {
			if scopes := e.Request.Header.Get("X-API-Key"); scopes != "" {
				parsed, err := scope.Parse([]string{scopes})
				if err != nil {
					return err
				}
				httpapi.StateOf(e).Key = &httpapi.Key{ID: "k", Secret: true, Scopes: parsed}
			}
			return e.Next()
		},
	})
	tt.plugin.Routes(r)
	mux, err := r.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	tt.url = server.URL
	superuser, err := app.FindAuthRecordByEmail(core.CollectionNameSuperusers, "test@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if tt.token, err = superuser.NewAuthToken(); err != nil {
		t.Fatal(err)
	}
	return tt
}

// serve makes the tenant a server.
func (tt *tenant) serve(t *testing.T) *tenant {
	t.Helper()
	if err := tt.plugin.Prepare(t.Context(), nil); err != nil && !errors.Is(err, replica.ErrNotOurs) {
		t.Fatal(err)
	}
	if err := tt.plugin.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := tt.plugin.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return tt
}

type answer struct {
	status int
	body   string
	header http.Header
}

func (a answer) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

// call sends a request as the superuser; headers come in pairs and may take
// the superuser's away.
func (tt *tenant) call(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequest(method, tt.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", tt.token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, string(raw), response.Header}
}

func (tt *tenant) recorded() []string {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	return slices.Clone(tt.records)
}

func until(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !check() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// addRow writes to the database.
func (tt *tenant) addRow(t *testing.T) {
	t.Helper()
	if _, err := tt.NonconcurrentDB().NewQuery("INSERT INTO _params (id, value) VALUES (hex(randomblob(8)), '1')").Execute(); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotsOverHTTP(t *testing.T) {
	t.Parallel()
	tt := newTenant(t).serve(t)
	made := tt.call(t, "POST", "/api/v1/backups", `{"label":"one","name":"one.zip"}`)
	var snapshot snapshots.Snapshot
	made.decode(t, &snapshot)
	if made.status != 201 || snapshot.ID != "one.zip" || snapshot.Status != snapshots.OK || snapshot.Label != "one" || snapshot.Verified == nil {
		t.Fatalf("%d %s", made.status, made.body)
	}
	if got := tt.recorded(); !slices.Equal(got, []string{"backup.created one.zip"}) {
		t.Errorf("recorded %q", got)
	}
	whole := tt.call(t, "GET", "/api/v1/backups/one.zip/download", "")
	if whole.status != 200 || int64(len(whole.body)) != snapshot.Size || whole.header.Get("ETag") != `"`+snapshot.SHA256+`"` {
		t.Errorf("download: %d, %d bytes of %d, %v", whole.status, len(whole.body), snapshot.Size, whole.header)
	}
	part := tt.call(t, "GET", "/api/v1/backups/one.zip/download", "", "Range", "bytes=100-199", "If-Range", whole.header.Get("ETag"))
	if part.status != 206 || part.body != whole.body[100:200] {
		t.Errorf("range: %d, %d bytes", part.status, len(part.body))
	}
	if a := tt.call(t, "PUT", "/api/v1/backups/two.zip", whole.body, "Content-Type", "application/zip"); a.status != 201 {
		t.Errorf("upload: %d %s", a.status, a.body)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		headers            []string
	}{
		{"POST", "/api/v1/backups/one.zip/verify", "", 200, nil},
		{"GET", "/api/v1/backups/nothing.zip", "", 404, nil},
		{"GET", "/api/v1/backups/nothing.zip/download", "", 404, nil},
		{"DELETE", "/api/v1/backups/nothing.zip", "", 404, nil},
		{"POST", "/api/v1/backups/nothing.zip/restore", "", 404, nil},
		{"POST", "/api/v1/backups/nothing.zip/verify", "", 404, nil},
		{"POST", "/api/v1/backups", `{"name":"../x.zip"}`, 400, nil},
		{"POST", "/api/v1/backups", `{"name":"one.zip"}`, 409, nil},
		{"POST", "/api/v1/backups", `{"nope":1}`, 400, nil},
		{"POST", "/api/v1/backups", `{"at":"2999-01-01T00:00:00Z"}`, 400, nil},
		{"POST", "/api/v1/backups", `{"at":"2001-01-01T00:00:00Z"}`, 400, nil},
		{"POST", "/api/v1/backups", `{"at":"yesterday"}`, 400, nil},
		{"POST", "/api/v1/backups", `{"label":"` + strings.Repeat("x", 201) + `"}`, 400, nil},
		{"POST", "/api/v1/backups/pitr", `{"at":"2001-01-01T00:00:00Z"}`, 400, nil},
		{"POST", "/api/v1/backups/pitr", `{}`, 400, nil},
		{"PUT", "/api/v1/backups/three.zip", "no zip", 400, nil},
		{"PUT", "/api/v1/backups/three.zip", whole.body[:len(whole.body)/2], 400, nil},
		{"PUT", "/api/v1/backups/four.zip", whole.body, 403, []string{"Authorization", "", "X-API-Key", "backups"}},
		{"GET", "/api/v1/backups", "", 200, []string{"Authorization", "", "X-API-Key", "backups"}},
		{"GET", "/api/v1/backups", "", 403, []string{"Authorization", "", "X-API-Key", "records:read"}},
		{"GET", "/api/v1/backups", "", 401, []string{"Authorization", ""}},
		{"DELETE", "/api/v1/backups/two.zip", "", 204, nil},
	} {
		if a := tt.call(t, c.method, c.path, c.body, c.headers...); a.status != c.status {
			t.Errorf("%s %s %.40s: %d %s, want %d", c.method, c.path, c.body, a.status, a.body, c.status)
		}
	}
	var list struct{ Items []snapshots.Snapshot }
	tt.call(t, "GET", "/api/v1/backups", "").decode(t, &list)
	if len(list.Items) == 0 || !slices.ContainsFunc(list.Items, func(s snapshots.Snapshot) bool { return s.ID == "one.zip" && s.Status == snapshots.OK }) {
		t.Errorf("%+v", list.Items)
	}
	if n := testutil.ToFloat64(tt.plugin.metrics.snapshots.WithLabelValues("ok")); n != 1 {
		t.Errorf("%v snapshots counted", n)
	}
}

// PocketBase's own page shows and does the same.
func TestPocketBasePage(t *testing.T) {
	t.Parallel()
	tt := newTenant(t).serve(t)
	if a := tt.call(t, "POST", "/api/backups", `{"name":"page.zip"}`); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var list []struct {
		Key  string
		Size int64
	}
	tt.call(t, "GET", "/api/backups", "").decode(t, &list)
	if len(list) != 1 || list[0].Key != "page.zip" {
		t.Fatalf("%+v", list)
	}
	var file struct{ Token string }
	tt.call(t, "POST", "/api/files/token", "").decode(t, &file)
	zip := tt.call(t, "GET", "/api/backups/page.zip?token="+file.Token, "")
	if zip.status != 200 || int64(len(zip.body)) != list[0].Size {
		t.Errorf("download: %d, %d bytes", zip.status, len(zip.body))
	}
	for _, c := range []struct {
		method, path string
		status       int
		headers      []string
	}{
		{"GET", "/api/backups/page.zip", 403, nil},
		{"GET", "/api/backups/page.zip?token=" + tt.token, 403, nil},
		{"GET", "/api/backups", 401, []string{"Authorization", ""}},
		{"DELETE", "/api/backups/page.zip", 401, []string{"Authorization", ""}},
		{"POST", "/api/backups/page.zip/restore", 401, []string{"Authorization", ""}},
		{"POST", "/api/backups/upload", 401, []string{"Authorization", ""}},
		{"POST", "/api/backups/nothing.zip/restore", 404, nil},
		{"DELETE", "/api/backups/page.zip", 204, nil},
		{"DELETE", "/api/backups/page.zip", 404, nil},
	} {
		if a := tt.call(t, c.method, c.path, "", c.headers...); a.status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, a.status, a.body, c.status)
		}
	}
	settings := tt.Settings()
	settings.SuperuserIPs = []string{"10.0.0.0/8"}
	if a := tt.call(t, "GET", "/api/backups/page.zip?token="+file.Token, ""); a.status != 403 {
		t.Errorf("a download from an address that is not the superusers': %d", a.status)
	}
}

func (tt *tenant) lastRestore(t *testing.T) *restore.Order {
	t.Helper()
	var window struct{ LastRestore *restore.Order }
	tt.call(t, "GET", "/api/v1/backups/pitr", "").decode(t, &window)
	return window.LastRestore
}

func TestRestoreToAMoment(t *testing.T) {
	t.Parallel()
	tt := newTenant(t).serve(t)
	if err := tt.plugin.replica.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	moment := time.Now().UTC()
	tt.addRow(t)
	body := `{"at":"` + moment.Format(time.RFC3339Nano) + `"}`
	begun := tt.call(t, "POST", "/api/v1/backups/pitr", body)
	if begun.status != 202 {
		t.Fatalf("%d %s", begun.status, begun.body)
	}
	if second := tt.call(t, "POST", "/api/v1/backups/pitr", body); second.status != 409 {
		t.Errorf("a second restore: %d %s", second.status, second.body)
	}
	<-tt.restarts
	order := tt.lastRestore(t)
	if order == nil || order.Status != restore.Restarting || order.Before == "" {
		t.Fatalf("%+v", order)
	}
	if before, err := tt.plugin.vault.Get(t.Context(), order.Before); err != nil || before.Kind != snapshots.BeforeRestore || before.Status != snapshots.OK {
		t.Errorf("the state before: %+v, %v", before, err)
	}
	if pending, err := restore.Pending(tt.DataDir()); err != nil || pending == nil || pending.ID != order.ID {
		t.Errorf("pending %+v, %v", pending, err)
	}
	if got := tt.recorded(); !slices.Equal(got, []string{"backup.restored " + moment.Format(time.RFC3339)}) {
		t.Errorf("recorded %q", got)
	}
}

// A restore that fails changes nothing and says so.
func TestFailedRestore(t *testing.T) {
	t.Parallel()
	tt := newTenant(t).serve(t)
	if a := tt.call(t, "POST", "/api/v1/backups", `{"name":"broken.zip"}`); a.status != 201 {
		t.Fatal(a.body)
	}
	path := filepath.Join(tt.root, "backups", "broken.zip")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 0xff
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if a := tt.call(t, "POST", "/api/v1/backups/broken.zip/restore", ""); a.status != 202 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	until(t, "the failure", func() bool { order := tt.lastRestore(t); return order != nil && order.Status == restore.Failed })
	order := tt.lastRestore(t)
	if order.Error == "" || strings.Contains(order.Error, tt.DataDir()) || order.Finished == nil {
		t.Errorf("%+v", order)
	}
	if pending, err := restore.Pending(tt.DataDir()); err != nil || pending != nil {
		t.Errorf("pending %+v, %v", pending, err)
	}
	select {
	case <-tt.restarts:
		t.Error("the server was restarted")
	default:
	}
}

func TestReplicationOff(t *testing.T) {
	t.Parallel()
	tt := newTenant(t, func(cfg *Config) { cfg.NoReplication = true }).serve(t)
	if a := tt.call(t, "POST", "/api/v1/backups/pitr", `{"at":"2020-01-01T00:00:00Z"}`); a.status != 409 {
		t.Errorf("%d %s", a.status, a.body)
	}
	var window struct {
		Enabled  bool
		From, To *time.Time
	}
	tt.call(t, "GET", "/api/v1/backups/pitr", "").decode(t, &window)
	if window.Enabled || window.From != nil || window.To != nil {
		t.Errorf("%+v", window)
	}
	if a := tt.call(t, "POST", "/api/v1/backups", ""); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var report DrillReport
	tt.call(t, "POST", "/api/v1/backups/drill", "").decode(t, &report)
	if report.Status != "ok" || report.Source == "replica" || report.Rows == 0 {
		t.Errorf("%+v", report)
	}
}

func TestDrill(t *testing.T) {
	t.Parallel()
	tt := newTenant(t).serve(t)
	var report DrillReport
	tt.call(t, "POST", "/api/v1/backups/drill", "").decode(t, &report)
	if report.Status != "ok" || report.Source != "replica" || report.Tables == 0 || report.Rows == 0 || report.Bytes == 0 {
		t.Errorf("%+v", report)
	}
	kept, err := tt.plugin.lastDrill(t.Context())
	if err != nil || kept == nil || !kept.Started.Equal(report.Started) {
		t.Errorf("kept %+v, %v", kept, err)
	}
	if f := tt.plugin.CheckBackups(t.Context()); f.Degraded || f.Values["lastDrill"] == nil {
		t.Errorf("%+v", f)
	}
	entries, err := os.ReadDir(filepath.Join(tt.root, "replica", "data.db", "ltx", "0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries { // all of the replica's history
		if err := os.Truncate(filepath.Join(tt.root, "replica", "data.db", "ltx", "0", entry.Name()), 10); err != nil {
			t.Fatal(err)
		}
	}
	tt.call(t, "POST", "/api/v1/backups/drill", "").decode(t, &report)
	if report.Status != "failed" || report.Error == "" {
		t.Errorf("a broken replica: %+v", report)
	}
	if f := tt.plugin.CheckBackups(t.Context()); !f.Degraded {
		t.Errorf("%+v", f)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	type counts = map[string]int64
	for name, c := range map[string]struct {
		restored, before, after counts
		ok                      bool
	}{
		"the same":      {counts{"a": 1}, counts{"a": 1}, counts{"a": 1}, true},
		"between":       {counts{"a": 2}, counts{"a": 1}, counts{"a": 3}, true},
		"shrinking":     {counts{"a": 2}, counts{"a": 3}, counts{"a": 1}, true},
		"too few":       {counts{"a": 1}, counts{"a": 2}, counts{"a": 2}, false},
		"too many":      {counts{"a": 3}, counts{"a": 2}, counts{"a": 2}, false},
		"table missing": {counts{}, counts{"a": 0}, counts{"a": 0}, false},
	} {
		if err := compare(c.restored, c.before, c.after); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMissed(t *testing.T) {
	t.Parallel()
	settings := config.Default().Backups
	for _, c := range []struct {
		schedule string
		ago      time.Duration
		want     bool
	}{
		{"@every 1h", 30 * time.Minute, false},
		{"@every 1h", 2 * time.Hour, true},
		{"", 1000 * time.Hour, false},
		{"0 4 * * 0", 8 * 24 * time.Hour, true},
	} {
		if got := missed(settings, c.schedule, time.Now().Add(-c.ago)); got != c.want {
			t.Errorf("%q, %v ago: %v", c.schedule, c.ago, got)
		}
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	tt := newTenant(t).serve(t)
	next := config.Default()
	next.Backups.Snapshots.Schedule, next.Backups.Snapshots.Keep = "@every 1s", 2
	tt.settings.Store(next)
	scheduled := func() (ids []string) {
		all, err := tt.plugin.vault.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.Kind == snapshots.Scheduled && s.Status == snapshots.OK {
				ids = append(ids, s.ID)
			}
		}
		return ids
	}
	seen := map[string]bool{}
	until(t, "four snapshots, of which two are kept", func() bool {
		tt.addRow(t)
		for _, id := range scheduled() {
			seen[id] = true
		}
		return len(seen) >= 4 && len(scheduled()) <= 2
	})
	// Nothing changes any more.
	until(t, "rest", func() bool {
		all, err := tt.plugin.vault.List(t.Context())
		return err == nil && !tt.plugin.changedSince(all[0].At) && all[0].Status == snapshots.OK && len(scheduled()) <= 2
	})
	before, since := scheduled(), time.Now()
	until(t, "three seconds", func() bool { return time.Since(since) > 3*time.Second })
	if after := scheduled(); !slices.Equal(before, after) {
		t.Errorf("without a change %v became %v", before, after)
	}
}

// What a server that lost its project answers.
func TestGate(t *testing.T) {
	t.Parallel()
	tt := newTenant(t).serve(t)
	if err := tt.plugin.Ready(); err != nil {
		t.Fatal(err)
	}
	thief, err := replica.New(replica.Config{
		Path: filepath.Join(t.TempDir(), "data.db"), MetaDir: t.TempDir(), Store: tt.plugin.cfg.Stores.Replica, Layout: replica.LayoutFile, TakeOver: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := thief.Claim(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	until(t, "the loss", func() bool {
		tt.addRow(t)
		return tt.plugin.Ready() != nil
	})
	if a := tt.call(t, "POST", "/api/collections/demo2/records", `{"title":"x"}`); a.status != 503 {
		t.Errorf("a write: %d %s", a.status, a.body)
	}
	if a := tt.call(t, "GET", "/api/collections/demo2/records", ""); a.status != 200 {
		t.Errorf("a read: %d %s", a.status, a.body)
	}
	if f, ok := tt.plugin.CheckReplication(t.Context()); !ok || !f.Failing {
		t.Errorf("%+v", f)
	}
}

func TestOneServerPerFolder(t *testing.T) {
	t.Parallel()
	tt := newTenant(t).serve(t)
	second, err := Register(tt.TestApp, Config{Settings: tt.settings.Load, Stores: stores(tt.root)})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Prepare(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("%v", err)
	}
}

func TestStartAndStopAgain(t *testing.T) {
	t.Parallel()
	tt := newTenant(t).serve(t)
	has := func(id string) bool {
		for _, job := range tt.Cron().Jobs() {
			if job.Id() == id {
				return true
			}
		}
		return false
	}
	if has(replaced) || !has(optimizeJob) {
		t.Error("PocketBase's nightly job is still there, or ours is not")
	}
	tt.plugin.optimize()
	for range 2 {
		for range 2 {
			if err := tt.plugin.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := tt.plugin.Start(); err != nil {
			t.Fatal(err)
		}
	}
	tt.addRow(t)
	until(t, "replication", func() bool { s := tt.plugin.replica.Status(); return s.Lag == 0 && s.Err == nil })
}

func TestRegisterWithoutStores(t *testing.T) {
	t.Parallel()
	if _, err := Register(nil, Config{Settings: config.Default}); err == nil {
		t.Error("no error without stores")
	}
	if _, err := Register(nil, Config{}); err == nil {
		t.Error("no error without settings")
	}
}
