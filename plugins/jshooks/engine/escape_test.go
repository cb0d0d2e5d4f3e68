package engine_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/guard"
	"github.com/picobase/picobase/plugins/jshooks/engine"
)

const (
	// patience is how long anybody's request may take while a script misbehaves. It is generous because tests
	// share their machine; e2e/tests/hooks-load.test.js measures the real figure.
	patience = 10 * time.Second

	// attackTime is the limit of scripts that are to be stopped; those that must come to their end have patience.
	attackTime = 200 * time.Millisecond

	memoryLimit = 64 << 20

	// overshoot is how far past memoryLimit a script may get: the watchdog samples.
	overshoot = 1280 << 20
)

// attackTransport never answers for slow.test, never stops for endless.test, and sends to the inner network from
// redirect.test. All others meet what production has.
type attackTransport struct{}

var guarded = guard.Transport(nil)

func (attackTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	header := http.Header{}
	switch r.URL.Host {
	case "slow.test":
		<-r.Context().Done()
		return nil, r.Context().Err()
	case "redirect.test":
		header.Set("Location", "http://127.0.0.1:1/")
		return &http.Response{StatusCode: 302, Header: header, Body: http.NoBody, Request: r}, nil
	case "endless.test":
		_, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return nil, err
		}
	default:
		return guarded.RoundTrip(r)
	}
	return &http.Response{StatusCode: 200, Header: header, Body: io.NopCloser(endless{r.Context()}), Request: r}, nil
}

type endless struct{ ctx context.Context }

func (e endless) Read(p []byte) (int, error) { return len(p), e.ctx.Err() }

// script is a file of testdata/escape. It begins with what it is about and what must come of it:
//
//	// why: an endless loop
//	// expect: 504 took too long
//	// alone: it measures memory
//
// The expectation is "problem" and a pattern of the message, or patterns of the status and the body
// of GET /attack. The word LEAK in the body or in the log is what no attack may achieve.
type script struct {
	name         string
	source       []byte
	status, text *regexp.Regexp
	problem      bool
	alone        bool
}

var expectation = regexp.MustCompile(`(?m)^// expect: (\S+) ?(.*)$`)

func scripts(t *testing.T) (list []script) {
	t.Helper()
	files, err := filepath.Glob("testdata/escape/*.pb.js")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := expectation.FindSubmatch(source)
		if found == nil {
			t.Fatalf("%s has no expectation", file)
		}
		list = append(list, script{
			name: strings.TrimSuffix(filepath.Base(file), ".pb.js"), source: source,
			status: regexp.MustCompile("^" + string(found[1]) + "$"), text: regexp.MustCompile(string(found[2])),
			problem: string(found[1]) == "problem", alone: strings.Contains(string(source), "\n// alone: "),
		})
	}
	return list
}

// timeout is long where a script must come to its end, so that a busy machine isn't taken for a loop.
func (s script) timeout() time.Duration {
	if s.status.MatchString("504") {
		return attackTime
	}
	return patience
}

// TestEscapes runs hostile scripts, and requests of others beside each of them. Not parallel: memory is
// the whole process's. Scripts that don't measure it share the time among a few hosts.
func TestEscapes(t *testing.T) {
	var timeout [5]atomic.Int64
	hosts := make([]*host, len(timeout))
	for i := range hosts {
		limit := int64(memoryLimit)
		if i > 0 {
			limit = 4 << 30
		}
		hosts[i] = newHost(t, engine.Config{
			Transport:   attackTransport{},
			MemoryLimit: func() int64 { return limit },
			CallTimeout: func() time.Duration { return time.Duration(timeout[i].Load()) },
			LoadTimeout: time.Second,
		})
	}
	run := func(i int, s script) {
		t.Run(s.name, func(t *testing.T) {
			timeout[i].Store(int64(s.timeout()))
			hosts[i].t = t
			hosts[i].attack(s)
		})
	}
	together := make(chan script)
	var lanes sync.WaitGroup
	for i := 1; i < len(hosts); i++ {
		lanes.Go(func() {
			for s := range together {
				run(i, s)
			}
		})
	}
	list := scripts(t)
	for _, s := range list {
		if !s.alone {
			together <- s
		}
	}
	close(together)
	lanes.Wait()
	for _, s := range list {
		if s.alone {
			run(0, s)
		}
	}
}

const canary = `routerAdd("GET", "/canary", (e) => e.string(200, "alive"))`

func (h *host) attack(s script) {
	t := h.t
	g, problems := h.engine.Compile(context.Background(), "attack", engine.Bundle{
		"a.pb.js": s.source, "canary.pb.js": []byte(canary), "lib.js": []byte("exports.box = function () { return this }.call.bind(function () { return this })"),
	})
	if s.problem {
		if len(problems) == 0 || !s.text.MatchString(problems[0].Message) {
			t.Fatalf("problems %v, want %q", problems, s.text)
		}
		g, problems = h.engine.Compile(context.Background(), "canary", engine.Bundle{"canary.pb.js": []byte(canary)})
	}
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	h.engine.Activate(g)
	defer func() {
		h.mu.Lock()
		h.entries = nil
		h.mu.Unlock()
	}()
	// Twice: the second must find nothing of the first.
	for range 2 {
		if s.problem {
			h.served("/api/health", "/canary")
			continue
		}
		peak := watchHeap()
		done := make(chan response, 1)
		started := time.Now()
		go func() { done <- h.send("GET", "/attack", "") }()
		var r response
		for over := false; !over; {
			h.served("/api/health", "/canary")
			select {
			case r = <-done:
				over = true
			case <-time.After(10 * time.Millisecond):
			}
		}
		if took := time.Since(started); took > patience {
			t.Errorf("took %v", took)
		}
		high := peak()
		if s.alone && high > memoryLimit+overshoot {
			t.Errorf("the heap grew by %d MB", high>>20)
		}
		if !s.status.MatchString(fmt.Sprint(r.status)) || !s.text.MatchString(r.body) || strings.Contains(r.body, "LEAK") {
			t.Errorf("%d %.300s, want %s %s\n%.500s", r.status, r.body, s.status, s.text, h.logged())
		}
	}
	if strings.Contains(h.logged(), "LEAK") {
		t.Error(h.logged())
	}
	h.served("/canary")
}

// served fails unless somebody else's requests are answered: always at once where no hook takes part. A hook
// may be stopped itself, as the slowest one when memory is short or for want of a processor, but not for long.
func (h *host) served(paths ...string) {
	h.t.Helper()
	for _, path := range paths {
		started := time.Now()
		for {
			r := h.send("GET", path, "")
			took := time.Since(started)
			if took > patience || r.status != 200 && path == "/api/health" {
				h.t.Fatalf("%s after %v: %d %s\n%.500s", path, took, r.status, r.body, h.logged())
			}
			if r.status == 200 {
				break
			}
		}
	}
}

// watchHeap samples the heap until the returned function is called, which tells by how much it grew.
func watchHeap() (grown func() int64) {
	read := func() int64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
		metrics.Read(s)
		return int64(s[0].Value.Uint64() + s[1].Value.Uint64())
	}
	base, stop, high := read(), make(chan struct{}), make(chan int64)
	go func() {
		most := base
		for {
			most = max(most, read())
			select {
			case <-stop:
				high <- most - base
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() int64 {
		close(stop)
		return <-high
	}
}
