package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	email    = "bench@example.com"
	password = "bench-password"

	startTimeout = 5 * time.Minute // a large database may have to be restored first
	stopTimeout  = time.Minute     // and what is written last be replicated
)

// server is one of the two programs under test, with a folder of its own.
type server struct {
	name   string
	binary string
	dir    string
	url    string
	key    string // PicoBase only: a publishable API key, sent by the load
	token  string // of the superuser, used for seeding

	args []string // of serve, beyond the address and the folder
	env  []string // beyond the machine's own

	cmd    *exec.Cmd
	exited chan struct{} // nil while stopped
}

func newServer(name, binary, dir string) *server {
	return &server{name: name, binary: binary, dir: dir}
}

func (s *server) startStock(ctx context.Context) error {
	if _, err := s.command(ctx, "superuser", "upsert", email, password); err != nil {
		return err
	}
	if err := s.serve(ctx); err != nil {
		return err
	}
	return s.login(ctx)
}

// startPicoBase leaves every plugin and every default on. Only the rate limits
// are lifted, not switched off, so that checking them is part of the result.
func (s *server) startPicoBase(ctx context.Context) error {
	if _, err := s.command(ctx, "superuser", "upsert", email, password); err != nil {
		return err
	}
	raw, err := s.command(ctx, "keys", "create", "--kind", "publishable", "--label", "bench", "--json")
	if err != nil {
		return err
	}
	var created struct{ Key string }
	if err := json.Unmarshal(raw, &created); err != nil || created.Key == "" {
		return fmt.Errorf("keys create printed no key: %q", raw)
	}
	s.key = created.Key

	if err := s.serve(ctx); err != nil {
		return err
	}
	if err := s.login(ctx); err != nil {
		return err
	}
	limit := map[string]int{"rate": 1_000_000, "burst": 1_000_000}
	return s.api(ctx, http.MethodPatch, "/api/v1/settings", map[string]any{
		"rateLimits": map[string]any{"perKey": limit, "perIP": limit},
	}, nil)
}

// command runs one of the binary's own commands on the server's folder.
func (s *server) command(ctx context.Context, args ...string) ([]byte, error) {
	if err := os.MkdirAll(s.dataDir(), 0o700); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, s.binary, append(args, "--dir", s.dataDir())...)
	cmd.Dir = s.dir
	cmd.Env = s.environ()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(s.binary), strings.Join(args[:2], " "), err, stderr.Bytes(), out)
	}
	return out, nil
}

// serve starts the process and returns once it answers.
func (s *server) serve(ctx context.Context) error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.waitFor(ctx, "/api/health", 20*time.Millisecond)
}

// launch starts the process and does not wait for it.
func (s *server) launch() error {
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	logFile, err := os.Create(s.logName())
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }() // the process has its own copy

	s.url = "http://" + addr
	s.cmd = exec.Command(s.binary, append([]string{"serve", "--http", addr, "--dir", s.dataDir()}, s.args...)...)
	s.cmd.Dir = s.dir
	s.cmd.Env = s.environ()
	s.cmd.Stdout, s.cmd.Stderr = logFile, logFile
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan<- struct{}) {
		_ = cmd.Wait() // reaped; how it ended shows in its output
		close(exited)
	}(s.cmd, s.exited)
	return nil
}

// waitFor returns once the path is answered well, which is tried every so often.
func (s *server) waitFor(ctx context.Context, path string, every time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := s.poll(ctx, path, every)
	if err != nil {
		output, _ := os.ReadFile(s.logName())
		return fmt.Errorf("%w; its output:\n%s", err, output)
	}
	return nil
}

func (s *server) poll(ctx context.Context, path string, every time.Duration) error {
	for {
		last := s.api(ctx, http.MethodGet, path, nil, nil)
		if last == nil {
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("the server exited before it answered")
		case <-ctx.Done():
			return fmt.Errorf("the server did not get ready: %w", last)
		case <-time.After(every):
		}
	}
}

// stop ends the process, politely first. It does nothing when none runs.
func (s *server) stop() {
	if s.exited == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	s.exited = nil
}

func (s *server) login(ctx context.Context) error {
	var auth struct{ Token string }
	err := s.api(ctx, http.MethodPost, "/api/collections/_superusers/auth-with-password",
		map[string]string{"identity": email, "password": password}, &auth)
	if err != nil {
		return fmt.Errorf("superuser login: %w", err)
	}
	s.token = auth.Token
	return nil
}

// api calls the server as its superuser (once logged in) and decodes the answer.
func (s *server) api(ctx context.Context, method, path string, body, answer any) error {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, content)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if s.token != "" {
		req.Header.Set("Authorization", s.token)
	} else if s.key != "" {
		req.Header.Set("X-API-Key", s.key)
	}

	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, raw)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(raw, answer)
}

func (s *server) dataDir() string { return filepath.Join(s.dir, "data") }
func (s *server) logName() string { return filepath.Join(s.dir, "output.log") }

func (s *server) environ() []string { return append(serverEnv(os.Environ()), s.env...) }

// serverEnv drops what would make one server differ from its defaults.
func serverEnv(env []string) []string {
	var kept []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "PICOBASE_") || name == "GOGC" || name == "GOMEMLIMIT" || name == "GODEBUG" || name == "AWS_CA_BUNDLE" {
			continue
		}
		kept = append(kept, kv)
	}
	return kept
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
