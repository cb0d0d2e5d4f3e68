package drivertest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/picobase/picobase/internal/platform/driver"
)

// env asks the tenant for its environment.
func (r *rig) env(id string) map[string]string {
	r.Helper()
	if r.h.NoURL {
		return nil
	}
	var pairs []string
	if err := r.get(id, "/env", &pairs); err != nil {
		r.Fatal(err)
	}
	env := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if _, twice := env[name]; twice {
			r.Errorf("%s is in the environment twice", name)
		}
		env[name] = value
	}
	return env
}

func testEnvironment(r *rig) {
	if r.h.NoURL {
		r.Skip("the environment cannot be seen")
	}
	values := []string{
		"PLAIN=value", "EMPTY=", "EQUALS=a=b=c", "SPACES= a  b ", "QUOTES=\"a\" 'b' `c`", "DOLLAR=$HOME ${PATH} $$ %PATH%",
		"LINES=one\ntwo\n", "BACKSLASH=a\\nb", "UNICODE=schön ☃", "HASH=#a", "LONG=" + strings.Repeat("x", 4000), "lower_1=case",
	}
	id := r.started(Normal, values...)
	got, want := r.env(id), r.spec(id, Normal, values...).Env
	for name, value := range want {
		if text, ok := got[name]; !ok || text != value.Reveal() {
			r.Errorf("%s is %q, want %q", name, text, value.Reveal())
		}
	}
	for name, value := range got {
		if _, ok := want[name]; !ok && !r.byEngine(name) {
			r.Errorf("%s=%q is in the environment, nobody asked for it", name, value)
		}
	}
}

func (r *rig) byEngine(name string) bool {
	if name == canary {
		return false
	}
	for _, pattern := range r.h.EngineEnv {
		prefix, wild := strings.CutSuffix(pattern, "*")
		if name == pattern || wild && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// A secret in the environment is nowhere but there.
func testSecrets(r *rig) {
	const value = "s3cr3t-Zm9vYmFy"
	running := r.started(Normal, "PASSWORD="+value)
	crashed := r.create(Crash, "PASSWORD="+value)
	r.start(crashed)
	r.until(crashed, driver.Crashed)
	for _, id := range []string{running, crashed} {
		status := r.status(id)
		asJSON, err := json.Marshal([]any{status, r.listed()[id]})
		if err != nil {
			r.Fatal(err)
		}
		seen := map[string]string{"status": fmt.Sprintf("%+v", status), "status as JSON": string(asJSON)}
		if r.h.Visible != nil {
			seen["what others see"] = r.h.Visible(r.T, id)
		}
		if !r.h.NoLogsAfterStop || id == running {
			seen["logs"] = strings.Join(r.lines(id, 0), "\n")
		}
		for what, text := range seen {
			if strings.Contains(text, value) {
				r.Errorf("the %s of a tenant hold its secret: %s", what, text)
			}
		}
	}
	spec := r.spec(crashed, Normal, "PASSWORD="+value, "BAD\x00NAME="+value)
	if err := r.d.Create(r.ctx(), spec); err == nil {
		r.Error("create accepts a variable that no environment can hold")
	} else if strings.Contains(err.Error(), value) {
		r.Errorf("an error holds a secret: %v", err)
	}
}
