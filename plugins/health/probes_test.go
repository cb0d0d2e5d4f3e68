package health

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/pocketbase/pocketbase/tests"
	"github.com/prometheus/client_golang/prometheus"
)

func TestProbes(t *testing.T) {
	t.Parallel()
	var condition error
	s := newServer(t, Config{Ready: []func() error{
		func() error { return nil },
		func() error { return condition },
	}}, nil)

	for _, step := range []struct {
		name    string
		prepare func()
		status  int
		code    string
		message string
	}{
		{"ready", func() {}, 200, "", `"status":"ready"`},
		{"private reason", func() { condition = errors.New("open /secret/path") }, 503, "not_ready", "not ready yet"},
		{"public reason", func() { condition = apierr.New(http.StatusConflict, "restoring", "A restore is under way.") }, 503, "not_ready", "A restore is under way."},
		{"ready again", func() { condition = nil }, 200, "", `"status":"ready"`},
		{"stopped", func() { _ = s.plugin.Stop(context.Background()) }, 503, "not_ready", "not ready yet"},
		{"started", func() { _ = s.plugin.Start() }, 200, "", `"status":"ready"`},
		{"draining", func() { _ = s.plugin.Drain(context.Background()) }, 503, "draining", "shutting down"},
		{"started after drain", func() { _ = s.plugin.Start() }, 200, "", `"status":"ready"`},
	} {
		step.prepare()
		got := s.get(t, "/api/v1/ready")
		if got.status != step.status || got.code() != step.code || !strings.Contains(got.body, step.message) {
			t.Errorf("%s: got %d %s", step.name, got.status, got.body)
		}
		if got.status == 503 && got.header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After is %q", step.name, got.header.Get("Retry-After"))
		}
		if strings.Contains(got.body, "secret") {
			t.Errorf("%s: the answer holds the cause: %s", step.name, got.body)
		}
		if head := s.do(t, http.MethodHead, "/api/v1/ready"); head.status != step.status || head.body != "" {
			t.Errorf("%s: HEAD got %d %q", step.name, head.status, head.body)
		}
		if live := s.get(t, "/api/v1/live"); live.status != 200 || strings.TrimSpace(live.body) != `{"status":"ok"}` {
			t.Errorf("%s: live got %d %s", step.name, live.status, live.body)
		}
		if health := s.get(t, "/api/v1/health"); health.status != 200 {
			t.Errorf("%s: health got %d %s", step.name, health.status, health.body)
		}
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	run := func(context.Context) Result { return Result{} }
	taken := prometheus.NewRegistry()
	if _, err := Register(app, Config{Priority: testPriority, Metrics: taken}); err != nil {
		t.Fatal(err)
	}
	for want, cfg := range map[string]Config{
		"Priority must be below":      {},
		"DrainTimeout":                {Priority: testPriority, DrainTimeout: -1},
		"must have a Name":            {Priority: testPriority, Checks: []Check{{Run: run}}},
		`check "x" must have`:         {Priority: testPriority, Checks: []Check{{Name: "x"}}},
		`two checks named "database"`: {Priority: testPriority, Checks: []Check{{Name: "database", Run: run}}},
		"register metrics":            {Priority: testPriority, Metrics: taken},
	} {
		if _, err := Register(app, cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestVersionOf(t *testing.T) {
	t.Parallel()
	modules := []*debug.Module{
		{Path: "a", Version: "v1.0.0"},
		{Path: "b", Version: "v2.0.0", Replace: &debug.Module{Path: "c", Version: "v3.0.0"}},
		{Path: "d", Version: "v4.0.0", Replace: &debug.Module{Path: "../d"}},
	}
	for path, want := range map[string]string{"a": "v1.0.0", "b": "v3.0.0", "d": "unknown", "e": "unknown"} {
		if got := versionOf(modules, path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
