// Package s3test starts a real S3 server, versitygw, for tests.
//
// The program is built by `make tools`. Without it tests are skipped by name,
// or fail with NO_SKIP=1. It is no mock: what a test does not break with
// Proxy behaves as an S3 server does.
//
//	server := s3test.Start(t)
//	store, err := s3.New(s3.Config{Endpoint: server.Endpoint, Bucket: server.Bucket(t), ...})
package s3test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Region is what clients must sign, and what package s3 signs by default.
const Region = "us-east-1"

const (
	program  = "versitygw-v1.8.0"
	patience = 20 * time.Second
)

// Server is a running S3 server with a folder of its own.
type Server struct {
	// Endpoint is the server's URL. It stays the same over Restart.
	Endpoint string

	// AccessKey and SecretKey are accepted for everything.
	AccessKey, SecretKey string

	t       testing.TB
	binary  string
	dir     string
	buckets atomic.Int64

	mu     sync.Mutex
	cmd    *exec.Cmd
	ended  chan struct{}
	output *output
}

// Start starts a server that is stopped when the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		// Its own, so that no test ever talks to the server of another.
		AccessKey: "key-" + rand.Text(),
		SecretKey: "secret-" + rand.Text(),
		t:         t,
		binary:    find(t),
		dir:       t.TempDir(),
	}
	for _, name := range []string{"data", "meta"} {
		if err := os.MkdirAll(filepath.Join(s.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.Stop)
	for range 5 {
		s.Endpoint = "http://" + freeAddress(t)
		if s.start() {
			return s
		}
	}
	t.Fatalf("%s ended: %s", s.binary, s.output.String())
	return nil
}

// Bucket makes an empty bucket and returns its name.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	// The server takes every folder for a bucket.
	if err := os.Mkdir(filepath.Join(s.dir, "data", name), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

// Restart starts the server again on its address and data, after Stop or not.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if !s.start() {
		s.t.Fatalf("%s ended: %s", s.binary, s.output.String())
	}
}

// Stop kills the server, as a crash would. A second Stop does nothing.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.ended
	s.cmd = nil
}

// start returns false if the server ended at once, as it does when somebody
// took the port meanwhile.
func (s *Server) start() bool {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	address := strings.TrimPrefix(s.Endpoint, "http://")
	// The sidecar makes it independent of the file system's extended attributes.
	cmd := exec.Command(s.binary, "--port", address, "--region", Region, "posix", //nolint:gosec,noctx // the test's own program, ended by Stop
		"--sidecar", filepath.Join(s.dir, "meta"), filepath.Join(s.dir, "data"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
	output := &output{}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("starting %s: %v", s.binary, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	s.cmd, s.ended, s.output = cmd, ended, output

	// It logs what it is asked: an answer alone may be of somebody else.
	path := "/ready-" + rand.Text()
	deadline := time.Now().Add(patience)
	for !strings.Contains(output.String(), path) {
		select {
		case <-ended:
			s.cmd = nil
			return false
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not answer after %v: %s", s.binary, patience, output.String())
		}
		ask(s.Endpoint + path)
	}
	return true
}

// output is what a process wrote.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func ask(url string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close()
	}
}

// find returns the server's program, or skips the test.
func find(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("VERSITYGW"); path != "" {
		return path
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			t.Fatal("no go.mod above the test")
		}
		root = filepath.Dir(root)
	}
	path := filepath.Join(root, "bin", program)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("NO_SKIP") != "" {
			t.Fatalf("no bin/%s: run make tools", program)
		}
		t.Skipf("no bin/%s: run make tools", program)
	}
	return path
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
