//go:build escape

package engine_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/plugins/jshooks/engine"
)

// patience is how long somebody else's request may take while a script misbehaves. It is
// generous because tests share their machine; bench measures the real figure.
const patience = 2 * time.Second

// attackTransport never answers for slow.test, and never stops for endless.test.
type attackTransport struct{}

func (attackTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "http" {
		return nil, fmt.Errorf("scheme %s is refused", r.URL.Scheme)
	}
	if r.URL.Host == "slow.test" {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(endless{r.Context()}), Request: r}, nil
}

type endless struct{ ctx context.Context }

func (e endless) Read(p []byte) (int, error) { return len(p), e.ctx.Err() }

// canary watches that others are served: a request without hooks and one with a hook.
func (h *host) canary(stop <-chan struct{}) (worst func() time.Duration) {
	var slowest time.Duration
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		for {
			for _, path := range []string{"/api/health", "/canary"} {
				started := time.Now()
				if r := h.send("GET", path, ""); r.status != 200 {
					h.t.Errorf("canary %s: %d %s", path, r.status, r.body)
				}
				slowest = max(slowest, time.Since(started))
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() time.Duration {
		done.Wait()
		return slowest
	}
}

func TestEscapes(t *testing.T) {
	files, err := filepath.Glob("testdata/escape/*.pb.js")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	h := newHost(t, engine.Config{
		Transport:   attackTransport{},
		MemoryLimit: func() int64 { return 64 << 20 },
		CallTimeout: func() time.Duration { return 500 * time.Millisecond },
	})
	const canary = `routerAdd("GET", "/canary", (e) => e.string(200, "alive"))`
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".pb.js"), func(t *testing.T) {
			h.t = t
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found := regexp.MustCompile(`(?m)^// expect: (\S+) ?(.*)$`).FindStringSubmatch(string(source))
			if found == nil {
				t.Fatal("no expectation")
			}
			g, problems := h.engine.Compile(context.Background(), "attack", engine.Bundle{"a.pb.js": source, "canary.pb.js": []byte(canary)})
			if found[1] == "problem" {
				if len(problems) == 0 || !regexp.MustCompile(found[2]).MatchString(problems[0].Message) {
					t.Fatalf("problems %v, want %q", problems, found[2])
				}
				return
			}
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			h.engine.Activate(g)
			stop := make(chan struct{})
			worst := h.canary(stop)
			// Twice: the second must find nothing of the first.
			for range 2 {
				started := time.Now()
				r := h.send("GET", "/attack", "")
				if took := time.Since(started); took > 5*time.Second {
					t.Errorf("took %v", took)
				}
				if strings.Contains(r.body, "LEAK") || !regexp.MustCompile("^"+found[1]).MatchString(fmt.Sprint(r.status)) || !regexp.MustCompile(found[2]).MatchString(r.body) {
					t.Errorf("%d %.300s, want %s %s\n%.500s", r.status, r.body, found[1], found[2], h.logged())
				}
			}
			close(stop)
			if w := worst(); w > patience {
				t.Errorf("others waited %v", w)
			}
			if strings.Contains(h.logged(), "LEAK") {
				t.Error(h.logged())
			}
			if r := h.send("GET", "/canary", ""); r.status != 200 {
				t.Errorf("after the attack: %d %s", r.status, r.body)
			}
			h.mu.Lock()
			h.entries = nil
			h.mu.Unlock()
		})
	}
}
