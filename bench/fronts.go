package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// front is a program between the load and the tenant, or nothing at all.
type front struct {
	name   string
	url    string
	cmd    *exec.Cmd // nil for the direct way
	exited chan struct{}
	output bytes.Buffer
}

const nginxConfig = `daemon off;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  upstream tenant { server %[3]s; keepalive 256; keepalive_requests 1000000; }
  server {
    listen %[2]s;
    location / {
      proxy_pass http://tenant;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
}
`

const caddyConfig = `{
	admin off
	auto_https off
	persist_config off
}
http://%s {
	reverse_proxy %s
}
`

// startFronts starts everything that is there: none of them writes an access log.
func startFronts(ctx context.Context, opts options, tenant *server, work string) (fronts []*front, skipped []string, err error) {
	fronts = append(fronts, &front{name: "direct", url: tenant.url})
	upstream := strings.TrimPrefix(tenant.url, "http://")
	for _, f := range []struct {
		name   string
		binary string
		args   func(dir, address string) ([]string, error)
	}{
		{"router", opts.picobase, func(dir, address string) ([]string, error) {
			routes, err := json.Marshal(map[string]any{"routes": []any{map[string]any{"project": "bench", "hosts": []string{"127.0.0.1"}, "url": tenant.url}}})
			path := filepath.Join(dir, "routes.json")
			return []string{"router", "--http", address, "--routes", path, "--admin", ""}, errors.Join(err, os.WriteFile(path, routes, 0o600))
		}},
		{"nginx", "nginx", func(dir, address string) ([]string, error) {
			path := filepath.Join(dir, "nginx.conf")
			return []string{"-c", path, "-p", dir, "-e", "stderr"}, os.WriteFile(path, fmt.Appendf(nil, nginxConfig, dir, address, upstream), 0o644)
		}},
		{"caddy", opts.caddy, func(dir, address string) ([]string, error) {
			path := filepath.Join(dir, "Caddyfile")
			return []string{"run", "--config", path, "--adapter", "caddyfile"}, os.WriteFile(path, fmt.Appendf(nil, caddyConfig, address, upstream), 0o600)
		}},
	} {
		binary, err := exec.LookPath(f.binary)
		if err != nil {
			skipped = append(skipped, fmt.Sprintf("%s: %s", f.name, err))
			continue
		}
		dir := filepath.Join(work, f.name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fronts, skipped, err
		}
		address, err := freeAddress()
		if err != nil {
			return fronts, skipped, err
		}
		args, err := f.args(dir, address)
		if err != nil {
			return fronts, skipped, err
		}
		started := &front{name: f.name, url: "http://" + address}
		if err := started.start(ctx, binary, dir, args); err != nil {
			return fronts, skipped, fmt.Errorf("start %s: %w", f.name, err)
		}
		fronts = append(fronts, started)
	}
	return fronts, skipped, nil
}

func (f *front) start(ctx context.Context, binary, dir string, args []string) error {
	f.cmd = exec.Command(binary, args...)
	f.cmd.Dir = dir
	f.cmd.Env = append(serverEnv(os.Environ()), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	f.cmd.Stdout, f.cmd.Stderr = &f.output, &f.output
	if err := f.cmd.Start(); err != nil {
		return err
	}
	f.exited = make(chan struct{})
	go func() {
		_ = f.cmd.Wait() // reaped; how it ended shows in its output
		close(f.exited)
	}()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/api/health", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			return nil
		}
		select {
		case <-f.exited:
			return fmt.Errorf("it ended: %s", f.output.Bytes())
		case <-ctx.Done():
			f.stop()
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (f *front) stop() {
	if f.cmd == nil {
		return
	}
	_ = f.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-f.exited:
	case <-time.After(stopTimeout):
		_ = f.cmd.Process.Kill()
		<-f.exited
	}
}

// cpuTime is what the front's processes have used: nginx has several.
func (f *front) cpuTime() (time.Duration, error) {
	if f.cmd == nil {
		return 0, nil
	}
	pid := strconv.Itoa(f.cmd.Process.Pid)
	children, err := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	if err != nil {
		return 0, fmt.Errorf("measure %s (bench needs Linux): %w", f.name, err)
	}
	var all time.Duration
	for _, id := range append(strings.Fields(string(children)), pid) {
		stat, err := os.ReadFile(filepath.Join("/proc", id, "stat"))
		if err != nil {
			return 0, err
		}
		one, err := parseCPUTime(string(stat))
		if err != nil {
			return 0, err
		}
		all += one
	}
	return all, nil
}
