package railway

import (
	"net/http"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
)

func TestState(t *testing.T) {
	t.Parallel()
	d := &Driver{config: Config{}}
	d.config.setDefaults()
	run := func(status DeploymentStatus, stopped bool) *DeploymentFields {
		return &DeploymentFields{Id: string(status), Status: status, DeploymentStopped: stopped}
	}
	running := []DeploymentFields{*run("SUCCESS", false)}
	for name, tt := range map[string]struct {
		latest *DeploymentFields
		active []DeploymentFields
		want   driver.State
	}{
		"never deployed":             {nil, nil, driver.Stopped},
		"queued":                     {run("QUEUED", true), nil, driver.Starting},
		"waiting":                    {run("WAITING", true), nil, driver.Starting},
		"initializing":               {run("INITIALIZING", true), nil, driver.Starting},
		"building":                   {run("BUILDING", true), nil, driver.Starting},
		"deploying":                  {run("DEPLOYING", false), nil, driver.Starting},
		"needs approval":             {run("NEEDS_APPROVAL", false), nil, driver.Starting},
		"runs":                       {run("SUCCESS", false), nil, driver.Running},
		"completed":                  {run("SUCCESS", true), nil, driver.Crashed},
		"sleeping":                   {run("SLEEPING", false), nil, driver.Stopped},
		"removing":                   {run("REMOVING", false), nil, driver.Stopping},
		"removed":                    {run("REMOVED", true), nil, driver.Stopped},
		"skipped":                    {run("SKIPPED", true), nil, driver.Stopped},
		"failed":                     {run("FAILED", true), nil, driver.Crashed},
		"crashed":                    {run("CRASHED", true), nil, driver.Crashed},
		"newer than the driver":      {run("HOVERING", false), nil, driver.Starting},
		"failed, the old one runs":   {run("FAILED", true), running, driver.Running},
		"removed, an old one runs":   {run("REMOVED", true), running, driver.Running},
		"deploying, an old one runs": {run("DEPLOYING", false), running, driver.Starting},
	} {
		got := d.status("k3x9", &InstanceFields{LatestDeployment: tt.latest, ActiveDeployments: tt.active})
		if got.State != tt.want {
			t.Errorf("%s: %q, want %q", name, got.State, tt.want)
		}
		reachable := tt.want == driver.Running || tt.want == driver.Starting
		if want := "http://picobase-k3x9.railway.internal:8090"; reachable && got.URL != want || !reachable && got.URL != "" {
			t.Errorf("%s: the URL is %q", name, got.URL)
		}
		if got.ExitCode != -1 {
			t.Errorf("%s: exit code %d, which Railway tells nobody", name, got.ExitCode)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tt := range map[string]struct {
		header, reset string
		want          time.Duration
	}{
		"seconds":             {"90", "", 90 * time.Second},
		"a fraction":          {"0.2", "", shortestWait},
		"date":                {"Fri, 02 Jan 2026 03:06:05 GMT", "", 2 * time.Minute},
		"past date":           {"Fri, 02 Jan 2026 03:00:00 GMT", "", shortestWait},
		"for days":            {"999999", "", longestWait},
		"nothing":             {"", "", defaultWait},
		"nonsense":            {"soon", "later", defaultWait},
		"negative":            {"-5", "", defaultWait},
		"reset, Unix time":    {"", "1767323105", time.Minute},
		"reset, milliseconds": {"", "1767323105000", time.Minute},
		"reset, RFC 3339":     {"", "2026-01-02T03:05:05Z", time.Minute},
		"both":                {"3", "2026-01-02T03:05:05Z", 3 * time.Second},
	} {
		header := http.Header{}
		header.Set("Retry-After", tt.header)
		header.Set("X-RateLimit-Reset", tt.reset)
		if got := retryAfter(header, now); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
