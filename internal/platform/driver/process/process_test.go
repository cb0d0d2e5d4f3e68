package process

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/exitfile"
	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/driver/drivertest"
)

const stopTimeout = 2 * time.Second

// openDir returns a folder that users can reach, as tenants with users of their own must.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(path, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var fixture struct {
	sync.Once
	path string
}

// buildFixture builds once, where users can reach it.
func buildFixture(t *testing.T) string {
	t.Helper()
	fixture.Do(func() {
		dir, err := os.MkdirTemp("", "fixture-") // goes in TestMain
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "fixture")
		if err := os.Rename(drivertest.BuildFixture(t), path); err != nil {
			t.Fatal(err)
		}
		fixture.path = path
	})
	return fixture.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if fixture.path != "" {
		_ = os.RemoveAll(filepath.Dir(fixture.path))
	}
	os.Exit(code)
}

// logText is a log that tests look at.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestConformance(t *testing.T) {
	binary := buildFixture(t)
	for name, change := range map[string]func(*Config){
		"sockets": func(*Config) {},
		"ports":   func(c *Config) { c.Ports = true },
		"long paths, one user": func(c *Config) {
			c.Dir = filepath.Join(c.Dir, strings.Repeat("long/", 20))
			c.RunDir = filepath.Join(t.TempDir(), "r")
			c.UIDBase = -1
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log logText
			cfg := Config{Dir: openDir(t), Binary: binary, StopTimeout: stopTimeout, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			change(&cfg)
			drivertest.Run(t, drivertest.Harness{
				New: func(t *testing.T) driver.Driver {
					d, err := Open(cfg)
					if err != nil {
						t.Fatal(err)
					}
					return d
				},
				Spec: func(_ *testing.T, id string, _ drivertest.Behaviour) driver.Spec {
					return driver.Spec{ID: id, Name: "Test " + id}
				},
				Options: drivertest.Options{
					StopTimeout: stopTimeout,
					EngineEnv:   []string{exitfile.Env},
					Visible:     func(t *testing.T, id string) string { return log.String() + visible(t, cfg.Dir, id) },
				},
			})
			if strings.Contains(commandLines(t), cfg.Dir) {
				t.Error("a tenant is left")
			}
		})
	}
}

// visible returns what other users of the machine can see of a tenant.
func visible(t *testing.T, dir, id string) string {
	t.Helper()
	var text strings.Builder
	err := filepath.Walk(filepath.Join(dir, id), func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 == 0 {
			return err
		}
		content, err := os.ReadFile(path)
		text.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String() + commandLines(t)
}

// commandLines returns those of all processes.
func commandLines(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		content, _ := os.ReadFile(path) // it may have ended
		text.Write(content)
	}
	return text.String()
}
