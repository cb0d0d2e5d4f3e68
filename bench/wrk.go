package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed wrk.lua
var wrkScript []byte

// workload is one kind of request. With paths, requests go through them in
// turn; otherwise all go to path.
type workload struct {
	name   string
	method string
	path   string
	body   string
	paths  []string
}

var workloads = []workload{
	{name: "health", method: http.MethodGet, path: "/api/health"},
	{name: "list", method: http.MethodGet, path: recordsPath(readCollection) + "?perPage=30"},
	{name: "view", method: http.MethodGet, path: recordsPath(readCollection), paths: everyRow()},
	{name: "create", method: http.MethodPost, path: recordsPath(writeCollection), body: newRow()},
	{name: "create, told", method: http.MethodPost, path: recordsPath(toldCollection), body: newRow()},
}

func everyRow() []string {
	var paths []string
	for i := range seededRows {
		paths = append(paths, recordsPath(readCollection)+"/"+rowID(i))
	}
	return paths
}

func newRow() string {
	raw, err := json.Marshal(row(seededRows))
	if err != nil {
		panic(err) // strings, numbers and booleans only
	}
	return string(raw)
}

// sample is one run of one workload.
type sample struct {
	requests      float64
	rate          float64 // requests per second
	p50, p95, p99 float64 // milliseconds
	cpu           float64 // the server's CPU microseconds per request, work it leaves behind included
	memory        float64 // the server's MB right after
}

// wrk is the load generator with the arguments that all runs share.
type wrk struct {
	script string
	args   []string
}

func requireWrk() error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return errors.New("wrk is not installed; install the package \"wrk\" (apt install wrk, brew install wrk)")
	}
	return nil
}

func newWrk(dir string, opts options) (*wrk, error) {
	script := filepath.Join(dir, "wrk.lua")
	if err := os.WriteFile(script, wrkScript, 0o600); err != nil {
		return nil, err
	}
	return &wrk{script: script, args: []string{
		"--threads", strconv.Itoa(opts.threads),
		"--connections", strconv.Itoa(opts.connections),
		"--duration", fmt.Sprintf("%ds", opts.duration/time.Second),
		"--script", script,
	}}, nil
}

// run loads one server with one workload. An answer that is an error fails the
// run: refusing requests is faster than serving them.
func (w *wrk) run(ctx context.Context, s *server, load workload) (sample, error) {
	before, err := s.cpuTime()
	if err != nil {
		return sample{}, err
	}
	one, err := w.load(ctx, s.url, s.key, load)
	if err != nil {
		return sample{}, err
	}
	if one.memory, err = s.memory(); err != nil {
		return sample{}, err
	}
	if err := s.settle(ctx); err != nil {
		return sample{}, err
	}
	after, err := s.cpuTime()
	if err != nil {
		return sample{}, err
	}
	one.cpu = float64((after - before).Microseconds()) / one.requests
	return one, nil
}

// load runs the workload against a URL, which measures the client's side of it.
func (w *wrk) load(ctx context.Context, url, key string, load workload) (sample, error) {
	args := append([]string(nil), w.args...)
	if key != "" {
		args = append(args, "--header", "X-API-Key: "+key)
	}
	args = append(args, url+load.path, "--", load.method, load.body)
	args = append(args, load.paths...)

	cmd := exec.CommandContext(ctx, "wrk", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return sample{}, fmt.Errorf("wrk: %w: %s", err, stderr.Bytes())
	}
	return parseWrk(string(out))
}

// parseWrk reads the line that wrk.lua prints at the end.
func parseWrk(out string) (sample, error) {
	var result string
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "bench-result "); ok {
			result = rest
		}
	}
	if result == "" {
		return sample{}, fmt.Errorf("wrk printed no result: %q", out)
	}

	values := map[string]float64{}
	for _, field := range strings.Fields(result) {
		name, text, _ := strings.Cut(field, "=")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return sample{}, fmt.Errorf("wrk result field %q: %w", field, err)
		}
		values[name] = value
	}
	for _, name := range []string{"requests", "duration_us", "status_errors", "socket_errors", "p50_us", "p95_us", "p99_us"} {
		if _, ok := values[name]; !ok {
			return sample{}, fmt.Errorf("wrk result has no %s: %q", name, result)
		}
	}

	if bad := values["status_errors"] + values["socket_errors"]; bad > 0 {
		return sample{}, fmt.Errorf("%.0f of %.0f requests were not served (%.0f error answers, %.0f broken or timed out)",
			bad, values["requests"], values["status_errors"], values["socket_errors"])
	}
	if values["requests"] == 0 || values["duration_us"] == 0 {
		return sample{}, errors.New("no request was served")
	}
	return sample{
		requests: values["requests"],
		rate:     values["requests"] / (values["duration_us"] / 1e6),
		p50:      values["p50_us"] / 1e3,
		p95:      values["p95_us"] / 1e3,
		p99:      values["p99_us"] / 1e3,
	}, nil
}
