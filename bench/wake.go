package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// wakes is how often each kind of wake is timed.
const (
	wakesFromDisk   = 40
	wakesFromBucket = 6
	stockStarts     = 20
	asleepPoll      = 50 * time.Millisecond
	asleepTimeout   = 2 * time.Minute
)

// wakeResults are in milliseconds, sorted.
type wakeResults struct {
	size              byteSize
	disk, bucket      []float64
	stock             []float64 // starts of stock PocketBase on the same rows
	lookup, perName   string
	perSleeping       string // bytes of the platform's memory
	loadBefore, after string
}

// benchWake measures how long the first request to a sleeping project takes.
func benchWake(ctx context.Context, opts options, facts facts, work string, out io.Writer) error {
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	res := wakeResults{size: opts.backups.small, loadBefore: loadAverage()}
	gateway, err := startGateway(ctx, opts.backups.gateway, filepath.Join(work, "s3"))
	if err != nil {
		return err
	}
	defer gateway.stop()
	stock := newServer("stock", opts.stock, filepath.Join(work, "stock"))
	defer stock.stop()
	fmt.Fprintf(out, "making a database of %s\n", &res.size)
	if err := stock.startStock(ctx); err != nil {
		return err
	}
	if err := stock.createCollections(ctx); err != nil {
		return err
	}
	stock.stop()
	if err := insertRows(ctx, stock.database(), int64(res.size)); err != nil {
		return err
	}
	f, err := startFleet(ctx, opts, gateway, filepath.Join(work, "fleet"))
	if err != nil {
		return err
	}
	defer f.stop()
	if err := f.fill(ctx, stock.database()); err != nil {
		return err
	}
	if err := f.measure(ctx, &res, stock, out); err != nil {
		return err
	}
	res.after = loadAverage()
	if err := res.measureTables(ctx, out); err != nil {
		return err
	}
	fmt.Fprintln(out)
	printTables(out, wakeRows(res), verdictRows(wakeVerdicts(res)))
	return opts.writePage(wakePageName, wakeMarkdown(facts, res), out)
}

// fleet is a platform on this machine with one project.
type fleet struct {
	dir, address string
	cmd          *exec.Cmd
	exited       chan struct{}

	token   string
	project struct {
		ID, Name string
		Keys     struct{ Publishable, Secret string }
	}
}

// startFleet starts a platform that puts projects to sleep at once.
func startFleet(ctx context.Context, opts options, g *gateway, dir string) (*fleet, error) {
	bucket, err := g.newBucket()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "output.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has it
	f := &fleet{dir: dir, address: address, exited: make(chan struct{})}
	f.cmd = exec.Command(opts.picobase, "up", "--dir", dir, "--http", address, "--idle-after", "100ms", "--wake-timeout", "2m")
	f.cmd.Env, f.cmd.Stdout, f.cmd.Stderr = append(serverEnv(os.Environ()), g.env(bucket)...), log, log
	if err := f.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = f.cmd.Wait() // how it ended shows in its log
		close(f.exited)
	}()
	// It is written last.
	first := filepath.Join(dir, "first-run.json")
	err = f.until(ctx, "the platform to start", func() bool {
		content, err := os.ReadFile(first)
		return err == nil && json.Unmarshal(content, &struct {
			Token   *string
			Project any
		}{&f.token, &f.project}) == nil
	})
	if err != nil {
		f.stop()
		content, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w: %s", err, content)
	}
	return f, nil
}

func (f *fleet) stop() {
	_ = f.cmd.Process.Signal(syscall.SIGINT)
	<-f.exited
}

func (f *fleet) until(ctx context.Context, what string, happened func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, asleepTimeout)
	defer cancel()
	for !happened() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-f.exited:
			return errors.New("the platform has ended")
		case <-time.After(asleepPoll):
		}
	}
	return nil
}

// request asks a name, and returns the answer and when its first byte came.
func (f *fleet) request(ctx context.Context, method, host, path string, header map[string]string, in any) (body []byte, first time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, asleepTimeout)
	defer cancel()
	var content io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, 0, err
		}
		content = strings.NewReader(string(raw))
	}
	begun := time.Now()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { first = time.Since(begun) }})
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, content)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	// A connection of its own, as a visitor's first request has.
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, f.address)
	}}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err == nil && res.StatusCode > 299 {
		err = fmt.Errorf("%s %s%s answered %d: %s", method, host, path, res.StatusCode, body)
	}
	return body, first, err
}

func (f *fleet) api(ctx context.Context, method, path string, out any) error {
	body, _, err := f.request(ctx, method, "localhost", "/api/platform/v1"+path, map[string]string{"Authorization": "Bearer " + f.token}, nil)
	if err == nil && out != nil {
		err = json.Unmarshal(body, out)
	}
	return err
}

func (f *fleet) folder() string { return filepath.Join(f.dir, "tenants", f.project.ID, "data") }

// fill gives the project the rows of another database.
func (f *fleet) fill(ctx context.Context, rows string) error {
	var owner struct{ Token string }
	if err := f.api(ctx, http.MethodPost, "/projects/"+f.project.ID+"/token", &owner); err != nil {
		return err
	}
	_, _, err := f.request(ctx, http.MethodPost, f.project.Name+".localhost", "/api/collections",
		map[string]string{"Authorization": "Bearer " + owner.Token}, collection(readCollection))
	if err != nil {
		return err
	}
	if err := f.api(ctx, http.MethodPost, "/projects/"+f.project.ID+"/stop", nil); err != nil {
		return err
	}
	if err := copyRows(ctx, rows, filepath.Join(f.folder(), "data.db")); err != nil {
		return err
	}
	if err := f.api(ctx, http.MethodPost, "/projects/"+f.project.ID+"/start", nil); err != nil {
		return err
	}
	return f.asleep(ctx)
}

// asleep returns when the project sleeps, with all of it in the bucket.
func (f *fleet) asleep(ctx context.Context) error {
	return f.until(ctx, "the project to sleep", func() bool {
		var view struct{ Status string }
		return f.api(ctx, http.MethodGet, "/projects/"+f.project.ID, &view) == nil && view.Status == "asleep"
	})
}

// wake reads a record of the sleeping project, and lets it sleep again.
func (f *fleet) wake(ctx context.Context) (float64, error) {
	_, first, err := f.request(ctx, http.MethodGet, f.project.Name+".localhost", recordsPath(readCollection)+"/"+rowID(0),
		map[string]string{"X-API-Key": f.project.Keys.Publishable}, nil)
	if err != nil {
		return 0, err
	}
	return milliseconds(first), f.asleep(ctx)
}

func (f *fleet) measure(ctx context.Context, res *wakeResults, stock *server, out io.Writer) error {
	for i := range wakesFromDisk {
		took, err := f.wake(ctx)
		if err != nil {
			return err
		}
		res.disk = append(res.disk, took)
		if i < stockStarts {
			started, err := stock.firstRead(ctx)
			if err != nil {
				return err
			}
			res.stock = append(res.stock, started)
		}
	}
	fmt.Fprintf(out, "wake from disk: %s ms\n", spread(res.disk, "%.0f"))
	for range wakesFromBucket {
		if err := os.RemoveAll(f.folder()); err != nil {
			return err
		}
		took, err := f.wake(ctx)
		if err != nil {
			return err
		}
		res.bucket = append(res.bucket, took)
	}
	fmt.Fprintf(out, "wake from the bucket: %s ms\n", spread(res.bucket, "%.0f"))
	for _, all := range [][]float64{res.disk, res.bucket, res.stock} {
		slices.Sort(all)
	}
	return nil
}

var (
	lookupLine   = regexp.MustCompile(`BenchmarkLookup\S*\s+\d+\s+([\d.]+) ns/op\s+([\d.]+) B/name`)
	sleepingLine = regexp.MustCompile(`(\d+) bytes for each sleeping project`)
)

// measureTables runs what is measured in Go: a lookup is too short to be seen in a
// request, and a sleeping project too small in a process.
func (r *wakeResults) measureTables(ctx context.Context, out io.Writer) error {
	fmt.Fprintln(out, "measuring the tables of names and projects")
	run := func(line *regexp.Regexp, args ...string) ([][]byte, error) {
		output, err := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1"}, args...)...).CombinedOutput()
		if match := line.FindSubmatch(output); err == nil && match != nil {
			return match, nil
		}
		return nil, fmt.Errorf("go test %s: %w\n%s", strings.Join(args, " "), err, output)
	}
	match, err := run(lookupLine, "-run=-", "-bench=BenchmarkLookup$", "./internal/router")
	if err != nil {
		return err
	}
	r.lookup, r.perName = string(match[1]), string(match[2])
	if match, err = run(sleepingLine, "-v", "-run=TestMemory$", "./internal/platform/fleet"); err != nil {
		return err
	}
	r.perSleeping = string(match[1])
	return nil
}

// loadAverage is the machine's, of the last minute: wakes share it with others.
func loadAverage() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(raw), " ")
	return first
}
