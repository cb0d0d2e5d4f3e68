package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// writer creates records at a steady pace and notes how long each took.
type writer struct {
	server *server
	client *http.Client
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	requests []request
}

type request struct {
	begun time.Time
	took  time.Duration
	err   error
}

// startWriter begins to write rate records per second over all connections. One
// that has to wait does not catch up afterwards: its next write is due at once,
// those it has missed are not.
func startWriter(ctx context.Context, s *server, connections, rate int) *writer {
	ctx, cancel := context.WithCancel(ctx)
	w := &writer{server: s, cancel: cancel, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}}
	period := time.Duration(connections) * time.Second / time.Duration(rate)
	for i := range connections {
		w.done.Go(func() {
			due := time.Now().Add(period * time.Duration(i) / time.Duration(connections))
			for pause(ctx, time.Until(due)) == nil {
				w.write(ctx)
				due = due.Add(period)
				if now := time.Now(); due.Before(now) {
					due = now
				}
			}
		})
	}
	return w
}

// stop ends the writing. A second stop does nothing.
func (w *writer) stop() {
	w.cancel()
	w.done.Wait()
	w.client.CloseIdleConnections()
}

func (w *writer) write(ctx context.Context) {
	r := request{begun: time.Now()}
	_, r.err = w.server.create(ctx, w.client, newRow())
	r.took = time.Since(r.begun)
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, r)
}

// create makes a record as a client does, and returns the answer.
func (s *server) create(ctx context.Context, client *http.Client, body string) ([]byte, error) {
	return s.send(ctx, client, workload{name: "create", method: http.MethodPost, path: recordsPath(writeCollection), body: body})
}

// send sends one request as a client does, and returns the answer.
func (s *server) send(ctx context.Context, client *http.Client, w workload) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, w.method, s.url+w.path, strings.NewReader(w.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if s.key != "" {
		req.Header.Set("X-API-Key", s.key)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", w.name, res.Status, raw)
	}
	return raw, err
}

// between returns what was written while something went on, begun before or not.
func (w *writer) between(from, to time.Time) (took []time.Duration, failed error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.requests {
		if r.begun.After(to) || r.begun.Add(r.took).Before(from) {
			continue
		}
		took = append(took, r.took)
		if r.err != nil {
			failed = r.err
		}
	}
	slices.Sort(took)
	return took, failed
}

// percentile of sorted values: the smallest that so many percent do not exceed.
func percentile[T any](sorted []T, percent int) T {
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}
