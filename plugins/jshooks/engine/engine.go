// Package engine is a stand-in until the real one is merged.
package engine

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/prometheus/client_golang/prometheus"
)

type Bundle map[string][]byte
type Problem struct {
	File         string
	Line, Column int
	Message      string
}
type Entry struct {
	At                 time.Time
	Level, Message     string
	Hook, File         string
	Line               int
	Version, RequestID string
}
type HookInfo struct {
	Kind     string   `json:"kind"`
	Name     string   `json:"name"`
	Tags     []string `json:"tags,omitempty"`
	Schedule string   `json:"schedule,omitempty"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
}
type Config struct {
	App         core.App
	CallTimeout func() time.Duration
	MaxVMs      int
	MemoryLimit func() int64
	MaxResponse int64
	Transport   http.RoundTripper
	Secrets     func(name string) (string, bool)
	Log         func(Entry)
	Metrics     prometheus.Registerer
}
type Engine struct{ cfg Config }
type Generation struct{ v string }

func New(cfg Config) (*Engine, error) { return &Engine{cfg}, nil }
func (e *Engine) Compile(_ context.Context, version string, b Bundle) (*Generation, []Problem) {
	for name, text := range b {
		if strings.Contains(string(text), "bad(") {
			return nil, []Problem{{name, 3, 7, "bad is not defined"}}
		}
	}
	return &Generation{version}, nil
}
func (e *Engine) Activate(g *Generation)          {}
func (e *Engine) Close(ctx context.Context) error { return nil }
func (g *Generation) Hooks() []HookInfo           { return []HookInfo{} }
func Types() []byte                               { return []byte("declare const $app: any\n") }
