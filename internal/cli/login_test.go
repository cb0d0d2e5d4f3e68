package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// devicePlatform answers the polls of a login with one code after another, and then
// with a token.
type devicePlatform struct {
	*httptest.Server

	mu      sync.Mutex
	answers []string
	polled  []time.Time
}

func newDevicePlatform(t *testing.T, expiresIn int, answers ...string) *devicePlatform {
	p := &devicePlatform{answers: answers}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/platform/v1/device/code", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"device_code":"d","user_code":"BCDF-GHJK","verification_uri":"http://x/device","verification_uri_complete":"http://x/device?code=BCDF-GHJK","expires_in":%d,"interval":1}`, expiresIn)
	})
	mux.HandleFunc("POST /api/platform/v1/device/token", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.polled = append(p.polled, time.Now())
		if len(p.answers) == 0 {
			fmt.Fprint(w, `{"access_token":"pbp_x","expires":"2027-01-31T00:00:00.000Z"}`)
			return
		}
		answer := p.answers[0]
		p.answers = p.answers[1:]
		status := http.StatusBadRequest
		if answer == "internal" {
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"code":%q,"message":"No."}}`, answer)
	})
	mux.HandleFunc("GET /api/platform/v1/me", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer pbp_x" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"id":"u1","email":"me@example.com","name":"","operator":false}`)
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// home gives the test an empty folder for credentials, and no environment.
func home(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	for _, name := range []string{"PICOBASE_TOKEN", "PICOBASE_PLATFORM_URL", "PICOBASE_URL", "PICOBASE_API_KEY"} {
		t.Setenv(name, "")
	}
	t.Chdir(dir)
}

func TestLoginDevice(t *testing.T) {
	const unit = 20 * time.Millisecond
	for name, c := range map[string]struct {
		answers   []string
		expiresIn int
		want      int    // exit code
		says      string // in the error
		polls     int
	}{
		"at once":               {nil, 600, ExitDone, "", 1},
		"after a while":         {[]string{"authorization_pending", "authorization_pending"}, 600, ExitDone, "", 3},
		"asks less often":       {[]string{"slow_down", "authorization_pending"}, 600, ExitDone, "", 3},
		"a platform that fails": {[]string{"internal"}, 600, ExitDone, "", 2},
		"expired there":         {[]string{"expired_token"}, 600, ExitFailed, "expired", 1},
		"expired here":          {slices.Repeat([]string{"authorization_pending"}, 100), 4, ExitFailed, "expired", 0},
		"refused":               {[]string{"access_denied"}, 600, ExitNotAllowed, "refused", 1},
		"something else":        {[]string{"invalid"}, 600, ExitFailed, "No.", 1},
	} {
		t.Run(name, func(t *testing.T) {
			home(t)
			p := newDevicePlatform(t, c.expiresIn, c.answers...)
			var out, notes bytes.Buffer
			opened := ""
			err := login(t.Context(), loginOptions{
				Platform: p.URL, JSON: true, unit: unit,
				open: func(_ context.Context, address string) error { opened = address; return nil },
			}, &out, &notes)
			if got := ExitCode(err); got != c.want || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("exit %d (%v), want %d", got, err, c.want)
			}
			if opened != "http://x/device?code=BCDF-GHJK" || !strings.Contains(notes.String(), opened) || !strings.Contains(notes.String(), "BCDF-GHJK") {
				t.Errorf("opened %q, said %q", opened, notes.String())
			}
			if c.polls > 0 && len(p.polled) != c.polls {
				t.Errorf("%d polls, want %d", len(p.polled), c.polls)
			}
			if name == "asks less often" {
				if gap := p.polled[1].Sub(p.polled[0]); gap < 6*unit {
					t.Errorf("told to slow down, it asked again after %v", gap)
				}
			}
			kept, err := loadCredentials()
			if err != nil {
				t.Fatal(err)
			}
			if (kept.Platforms[p.URL].Token != "") != (c.want == ExitDone) {
				t.Errorf("kept %v", kept)
			}
		})
	}
}

// What a platform names is shown as a page or not at all.
func TestPageURL(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"https://example.com/device?code=A": true, "http://localhost:8080/": true,
		"file:///etc/passwd": false, "javascript:alert(1)": false, "--help": false, "calc.exe": false, "": false,
	} {
		if _, err := pageURL(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	home(t)
	path, err := credentialsPath()
	if err != nil {
		t.Fatal(err)
	}
	kept := credentials{Platform: "http://a", Platforms: map[string]account{"http://a": {Token: "pbp_a"}}}
	if err := kept.save(); err != nil {
		t.Fatal(err)
	}
	// One that others can read becomes private again.
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := kept.save(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadCredentials(); err == nil || !strings.Contains(err.Error(), "login again") {
		t.Errorf("a broken file: %v", err)
	}
}

// A token for a project is used again until it is about to end by the platform's clock,
// whatever this machine's says.
func TestProjectTokens(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"same": 0, "behind": -time.Hour, "ahead": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				made++
				now := time.Now().Add(skew)
				w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
				_ = json.NewEncoder(w).Encode(map[string]any{"token": fmt.Sprint("t", made), "url": "http://p", "expires": now.Add(5 * time.Minute)})
			}))
			t.Cleanup(server.Close)
			platform, err := clientWithToken(server.URL, "pbp_x")
			if err != nil {
				t.Fatal(err)
			}
			tokens := &projectTokens{platform: platform, path: "/token"}
			for range 3 {
				if token, err := tokens.get(t.Context()); err != nil || token != "t1" {
					t.Fatalf("%s, %v", token, err)
				}
			}
			if left := time.Until(tokens.renew); left < 3*time.Minute || left > 5*time.Minute-renewBefore+2*time.Second {
				t.Errorf("it is renewed in %v", left)
			}
			tokens.renew = time.Now()
			if token, err := tokens.get(t.Context()); err != nil || token != "t2" {
				t.Errorf("a token that ends was kept: %s, %v", token, err)
			}
		})
	}
}

func TestCheckClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for skew, want := range map[time.Duration]string{
		0: passed, 20 * time.Second: passed, -time.Minute: warned, time.Minute: warned, 5 * time.Minute: failed, -time.Hour: failed,
	} {
		if got := checkClock(now.Format(http.TimeFormat), now.Add(skew)); got.Status != want {
			t.Errorf("%v: %+v, want %s", skew, got, want)
		}
	}
	if got := checkClock("", now); got.Status != skipped {
		t.Errorf("no date: %+v", got)
	}
}

func TestCheckVersion(t *testing.T) {
	t.Parallel()
	for versions, want := range map[[2]string]string{
		{"0.1.0", "0.1.7"}: passed, {"v1.2.0", "1.2.0"}: passed, {"0.1.0", "0.2.0"}: warned,
		{"1.0.0", "0.9.0"}: warned, {"dev", "0.1.0"}: skipped, {"0.1.0", "dev"}: skipped,
	} {
		if got := checkVersion(versions[0], versions[1]); got.Status != want {
			t.Errorf("%v: %+v, want %s", versions, got, want)
		}
	}
}

// The live log is filtered by level here: its entries have none.
func TestTailLevel(t *testing.T) {
	t.Parallel()
	const fine, wrong, dropped = `{"method":"GET","status":200}`, `{"method":"GET","status":404,"error":"Not found."}`, `{"count":3}`
	for level, want := range map[string][3]bool{"": {true, true, true}, "info": {true, false, true}, "ERROR": {false, true, true}, "8": {false, true, true}} {
		keep, err := tailLevel(level)
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]bool{keep(fine), keep(wrong), keep(dropped)}; got != want {
			t.Errorf("%q keeps %v, want %v", level, got, want)
		}
	}
	if _, err := tailLevel("debug"); ExitCode(err) != ExitUsage {
		t.Errorf("debug: %v", err)
	}
}
