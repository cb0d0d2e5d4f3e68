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
	"sync"
	"syscall"
	"time"
)

const (
	email    = "bench@example.com"
	password = "bench-password"

	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
)

// server is one of the two programs under test, with a folder of its own.
type server struct {
	name   string
	binary string
	dir    string
	url    string
	key    string // PicoBase only: a publishable API key, sent by the load
	token  string // of the superuser, used for seeding

	cmd      *exec.Cmd
	exited   chan struct{}
	stopOnce sync.Once
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
	cmd.Env = serverEnv(os.Environ())
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
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	logFile, err := os.Create(filepath.Join(s.dir, "output.log"))
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }() // the process has its own copy

	s.url = "http://" + addr
	s.cmd = exec.Command(s.binary, "serve", "--http", addr, "--dir", s.dataDir())
	s.cmd.Dir = s.dir
	s.cmd.Env = serverEnv(os.Environ())
	s.cmd.Stdout, s.cmd.Stderr = logFile, logFile
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func() {
		_ = s.cmd.Wait() // reaped; how it ended shows in its output
		close(s.exited)
	}()

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.waitHealthy(ctx); err != nil {
		output, _ := os.ReadFile(logFile.Name())
		return fmt.Errorf("%w; its output:\n%s", err, output)
	}
	return nil
}

func (s *server) waitHealthy(ctx context.Context) error {
	for {
		last := s.api(ctx, http.MethodGet, "/api/health", nil, nil)
		if last == nil {
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("the server exited before it answered")
		case <-ctx.Done():
			return fmt.Errorf("the server did not get healthy: %w", last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the process, politely first. It does nothing when none was started.
func (s *server) stop() {
	s.stopOnce.Do(func() {
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
	})
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

// serverEnv drops what would make one server differ from its defaults.
func serverEnv(env []string) []string {
	var kept []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "PICOBASE_") || name == "GOGC" || name == "GOMEMLIMIT" || name == "GODEBUG" {
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
