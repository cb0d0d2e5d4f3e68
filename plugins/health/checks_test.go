package health

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Version: "1.2.3", Checks: []Check{{Name: "replication", Run: func(context.Context) Result {
		return Result{Values: map[string]any{"lagSeconds": 2}}
	}}}}, nil)
	got := s.get(t, "/api/v1/health")
	if got.status != 200 || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %v %s", got.status, got.header, got.body)
	}
	report := got.report(t)
	if report.Version != "1.2.3" || report.PocketBase == "" || report.Uptime == nil {
		t.Errorf("got %s", got.body)
	}
	for name, fields := range map[string][]string{
		"database":    {"latencyMs", "status"},
		"disk":        {"freeBytes", "status", "totalBytes"},
		"wal":         {"bytes", "status"},
		"queue":       {"realtimeClients", "requestsInFlight", "status", "streams"},
		"replication": {"lagSeconds", "status"},
	} {
		check := report.Checks[name]
		delete(check, "message") // of a test machine's full disk
		if got := slices.Sorted(maps.Keys(check)); !slices.Equal(got, fields) {
			t.Errorf("%s has %v, want %v", name, got, fields)
		}
	}
	if strings.Contains(got.body, s.app.DataDir()) {
		t.Errorf("the answer names the data folder: %s", got.body)
	}
	if head := s.do(t, http.MethodHead, "/api/v1/health"); head.status != 200 || head.body != "" {
		t.Errorf("HEAD got %d %q", head.status, head.body)
	}
}

func TestStatusOfTheWhole(t *testing.T) {
	t.Parallel()
	for want, statuses := range map[Status][]Status{
		OK:       {OK, Unknown},
		Degraded: {OK, Degraded, Unknown},
		Failing:  {Degraded, Failing, OK},
	} {
		results := map[string]Result{}
		for _, status := range statuses {
			results[string(status)] = Result{Status: status}
		}
		if got := worst(results); got != want {
			t.Errorf("%v: got %s, want %s", statuses, got, want)
		}
	}
}

func TestRateDisk(t *testing.T) {
	t.Parallel()
	const mb, gb = 1 << 20, 1 << 30
	for _, test := range []struct {
		free, total uint64
		want        Status
	}{
		{500 * gb, 1000 * gb, ""},
		{99 * gb, 1000 * gb, Degraded},
		{500 * mb, gb, ""},
		{499 * mb, gb, Degraded},
		{50 * mb, gb, Degraded},
		{50*mb - 1, gb, Failing},
	} {
		if got := rateDisk(test.free, test.total).Status; got != test.want {
			t.Errorf("%d of %d: got %q, want %q", test.free, test.total, got, test.want)
		}
	}
}

// TestLockedDatabase holds the write lock through a connection of its own, as
// another process would.
func TestLockedDatabase(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{}, nil)
	db, err := core.DefaultDBConnect(s.app.DataDir() + "/data.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.DB().SetMaxOpenConns(1)
	if _, err := db.NewQuery("BEGIN IMMEDIATE").Execute(); err != nil {
		t.Fatal(err)
	}

	got := s.get(t, "/api/v1/health")
	report := got.report(t)
	if got.status != 503 || report.Status != Failing || report.Checks["database"]["status"] != string(Failing) {
		t.Fatalf("locked: got %d %s", got.status, got.body)
	}
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}

	if _, err := db.NewQuery("ROLLBACK").Execute(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "recovery", func() bool { return s.plugin.checks.results()["database"].Status == OK })
}

func TestReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{}, nil)
	if _, err := s.app.NonconcurrentDB().NewQuery("PRAGMA query_only = 1").Execute(); err != nil {
		t.Fatal(err)
	}
	got := s.get(t, "/api/v1/health")
	if got.status != 503 || got.report(t).Checks["database"]["status"] != string(Failing) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if strings.Contains(got.body, "readonly") {
		t.Errorf("the answer holds the cause: %s", got.body)
	}
}

// TestCheckWritesNothing compares the WAL, which every written page grows.
func TestCheckWritesNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{}, nil)
	wal := s.app.DataDir() + "/data.db-wal"
	if _, err := s.app.NonconcurrentDB().NewQuery("UPDATE _params SET id = id").Execute(); err != nil {
		t.Fatal(err)
	}
	before := fileSize(wal)
	for range 10 {
		if result := s.plugin.checkDatabase(context.Background()); result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	if after := fileSize(wal); before == 0 || after != before {
		t.Errorf("the WAL went from %d to %d bytes", before, after)
	}
}

func TestConcurrentCallersShareOneRun(t *testing.T) {
	t.Parallel()
	var runs, arrived atomic.Int64
	release := make(chan struct{})
	s := newServer(t, Config{Checks: []Check{{Name: "counted", Run: func(context.Context) Result {
		runs.Add(1)
		<-release
		return Result{}
	}}}}, func(r *router.Router[*core.RequestEvent]) {
		r.BindFunc(func(e *core.RequestEvent) error {
			arrived.Add(1)
			return e.Next()
		})
	})
	const callers = 100
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if got := s.get(t, "/api/v1/health"); got.status != 200 {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	eventually(t, "the callers", func() bool { return arrived.Load() == callers })
	close(release)
	wg.Wait()
	if n := runs.Load(); n != 1 {
		t.Errorf("the check ran %d times", n)
	}
}

// TestBadChecks has checks that crash, that fail and that never return.
func TestBadChecks(t *testing.T) {
	t.Parallel()
	var hangs atomic.Int64
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	s := newServer(t, Config{Checks: []Check{
		{Name: "crashes", Run: func(context.Context) Result { panic("at /secret") }},
		{Name: "fails", Run: func(context.Context) Result {
			return Result{Status: Degraded, Message: "The queue is long.", Err: errors.New("at /secret")}
		}},
		{Name: "hangs", Run: func(context.Context) Result { hangs.Add(1); <-release; return Result{} }},
	}}, nil)
	got := s.get(t, "/api/v1/health")
	checks := got.report(t).Checks
	if got.status != 503 || checks["crashes"]["status"] != "failing" || checks["hangs"]["status"] != "failing" ||
		checks["fails"]["status"] != "degraded" || checks["fails"]["message"] != "The queue is long." {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if strings.Contains(got.body, "secret") {
		t.Errorf("the answer holds a cause: %s", got.body)
	}
	s.plugin.checks.runAll()
	if n := hangs.Load(); n != 1 {
		t.Errorf("the check that hangs was started %d times", n)
	}
}
