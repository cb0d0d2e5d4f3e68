package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestParseMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"90d":                  "2026-05-30T12:00:00Z",
		"36h":                  "2026-03-03T00:00:00Z",
		"2027-01-31T00:00:00Z": "2027-01-31T00:00:00Z",
		"":                     "",
		"tomorrow":             "",
		"-1h":                  "",
		"0d":                   "",
		"2027-01-31":           "",
	} {
		got, err := parseMoment(text, now)
		if (err == nil) != (want != "") || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%q: %s, %v, want %q", text, got, err, want)
		}
	}
}

func TestParseRateLimit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"50": "map[burst:100 rate:50]", "0.2": "map[burst:1 rate:0.2]", "5:7": "map[burst:7 rate:5]", "x": "", "5:x": ""} {
		got, err := parseRateLimit(text)
		if (err == nil) != (want != "") || err == nil && fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
}

// The exit code says what kind of failure it was, whatever the server is.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	const ours = `{"error":{"code":"x","message":"No."}}`
	for name, c := range map[string]struct {
		url  string
		want int
	}{
		"done":            {answer(200, `{"items":[]}`), ExitDone},
		"unauthorized":    {answer(401, ours), ExitNotAllowed},
		"forbidden":       {answer(403, ours), ExitNotAllowed},
		"not found":       {answer(404, ours), ExitNotFound},
		"bad request":     {answer(400, ours), ExitFailed},
		"another server":  {answer(502, "<html>"), ExitFailed},
		"not JSON":        {answer(200, "<html>"), ExitFailed},
		"a redirect":      {answer(302, ""), ExitFailed},
		"nobody there":    {"http://127.0.0.1:1", ExitUnreachable},
		"no such address": {"nonsense", ExitUsage},
	} {
		client, err := NewClient(c.url, "pbk_sec_x", nil)
		if err == nil {
			var out any
			err = client.Call(context.Background(), http.MethodGet, keysPath, nil, &out)
		}
		if got := ExitCode(err); got != c.want {
			t.Errorf("%s: exit %d (%v), want %d", name, got, err, c.want)
		}
	}
	if got := ExitCode(fmt.Errorf("wrapped: %w", Usage("wrong"))); got != ExitUsage {
		t.Errorf("a wrapped usage error exits %d", got)
	}
	if got := ExitCode(errors.New("any")); got != ExitFailed {
		t.Errorf("any error exits %d", got)
	}
}
