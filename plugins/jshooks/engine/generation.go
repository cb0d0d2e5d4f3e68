package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/dop251/goja"
)

// Bundle is the files of one version, by slash path. Those at the top named *.pb.js are entry points; the
// others are for require.
type Bundle map[string][]byte

// Problem is an error in a bundle.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

func (p Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// HookInfo is one thing that a generation registers.
type HookInfo struct {
	Kind     string   `json:"kind"`               // hook, route, middleware or cron
	Name     string   `json:"name"`               // such as onRecordCreate, "GET /hello", or the id of a cron job
	Tags     []string `json:"tags,omitempty"`     // collections of a hook
	Schedule string   `json:"schedule,omitempty"` // of a cron job
	File     string   `json:"file"`
	Line     int      `json:"line"`

	method, path string
}

// Generation is one compiled version of the hooks.
type Generation struct {
	version string
	entries map[string]*goja.Program
	modules map[string]*goja.Program
	data    map[string]any
	hooks   map[string][]handler // by hook name
	uses    []handler
	routes  *http.ServeMux
	crons   []handler
	infos   []HookInfo
	stains  bool // its calls may leave something in a VM, which isn't used again then
	strikes strikes
	quick   sync.Map // hooks that have ended a call without computing for long
}

// handler finds a function again in a scope: the n-th registration of a file.
type handler struct {
	file  string
	index int
	info  HookInfo
}

// Hooks lists what the generation registers, in the order in which it does.
func (g *Generation) Hooks() []HookInfo { return slices.Clone(g.infos) }

// Version returns the name that Compile was given.
func (g *Generation) Version() string { return g.version }

// Compile compiles a bundle and runs the top level of its entry files once. It
// changes nothing for the running generation. There is a generation or there
// are problems.
func (e *Engine) Compile(ctx context.Context, version string, b Bundle) (*Generation, []Problem) {
	g := &Generation{
		version: version, entries: map[string]*goja.Program{}, modules: map[string]*goja.Program{},
		data: map[string]any{}, hooks: map[string][]handler{}, routes: http.NewServeMux(),
	}
	if found := g.compileFiles(ctx, b); len(found) > 0 {
		return nil, found
	}
	for _, file := range entryFiles(b) {
		if found := e.dryRun(ctx, g, file); len(found) > 0 {
			return nil, found
		}
	}
	return g, nil
}

func (g *Generation) compileFiles(ctx context.Context, b Bundle) (found []Problem) {
	names := make([]string, 0, len(b))
	size := 0
	for name, source := range b {
		names = append(names, name)
		size += len(source)
	}
	if size > MaxBundleSize {
		return []Problem{{Message: fmt.Sprintf("the bundle is larger than %d MB", MaxBundleSize>>20)}}
	}
	sort.Strings(names)
	for _, name := range names {
		if ctx.Err() != nil {
			return append(found, Problem{File: name, Message: ctx.Err().Error()})
		}
		if name == "" || strings.HasPrefix(name, "/") || path.Clean(name) != name || strings.HasPrefix(name, "..") {
			found = append(found, Problem{File: name, Message: "the path isn't a clean relative one"})
			continue
		}
		entry, _ := path.Match("*.pb.js", name)
		var list []Problem
		var stains bool
		switch {
		case entry:
			g.entries[name], stains, list = compile(name, b[name], true)
		case isModule(name):
			g.modules[name], stains, list = compile(name, b[name], false)
		case strings.HasSuffix(name, ".json"):
			var v any
			err := decode(b[name], &v)
			if err != nil {
				list = []Problem{{File: name, Line: 1, Column: 1, Message: err.Error()}}
			}
			g.data[name] = v
		}
		g.stains = g.stains || stains
		found = append(found, list...)
	}
	return found
}

// dryRun runs the top level of a file and takes down what it registers.
func (e *Engine) dryRun(ctx context.Context, g *Generation, file string) (found []Problem) {
	t := target{gen: g, hook: "load " + file, ctx: ctx, timeout: e.cfg.LoadTimeout}
	var failed *loadError
	err := e.do(t, func(c *call) error {
		s, err := c.loadFor(file)
		if err != nil {
			return err
		}
		for i, r := range s.registered {
			if p := g.register(handler{file: file, index: i, info: r.info}); p != nil {
				found = append(found, *p)
			}
		}
		return nil
	})
	switch {
	case err == nil:
	case errors.As(err, &failed):
		found = append(found, failed.problem)
	default:
		found = append(found, Problem{File: file, Line: 1, Column: 1, Message: err.Error()})
	}
	return found
}

// loadError is an error of a dry run with its place.
type loadError struct{ problem Problem }

func (e *loadError) Error() string { return e.problem.Error() }

// loadFor is load for a dry run: what fails is a problem and no line of the log.
func (c *call) loadFor(file string) (*scope, error) {
	s := &scope{}
	c.registering = s
	defer func() { c.registering = nil }()
	if _, err := c.execute(file, c.gen.entries[file], modules{}); err != nil {
		message, at, line, column := c.m.describe(err)
		if c.cause != nil {
			message = c.cause.Error()
		}
		if at == "" {
			at, line, column = file, 1, 1
		}
		return nil, &loadError{Problem{File: at, Line: line, Column: column, Message: message}}
	}
	return s, nil
}

func (g *Generation) register(h handler) *Problem {
	problem := func(message string) *Problem {
		return &Problem{File: h.info.File, Line: h.info.Line, Column: 1, Message: message}
	}
	if len(g.infos) >= 1000 {
		return problem("the hooks register too much")
	}
	switch h.info.Kind {
	case "hook":
		g.hooks[h.info.Name] = append(g.hooks[h.info.Name], h)
	case "middleware":
		g.uses = append(g.uses, h)
	case "route":
		if err := g.route(h); err != nil {
			return problem(err.Error())
		}
	case "cron":
		g.crons = slices.DeleteFunc(g.crons, func(old handler) bool { return old.info.Name == h.info.Name })
		g.crons = append(g.crons, h)
	case "cron removal":
		g.crons = slices.DeleteFunc(g.crons, func(old handler) bool { return old.info.Name == h.info.Name })
		g.infos = slices.DeleteFunc(g.infos, func(i HookInfo) bool { return i.Kind == "cron" && i.Name == h.info.Name })
		return nil
	}
	g.infos = append(g.infos, h.info)
	return nil
}

// find loads the handler's file and returns its functions in this call.
func (c *call) find(h handler) (registration, error) {
	s, err := c.load(h.file)
	if err != nil {
		return registration{}, err
	}
	if h.index >= len(s.registered) || s.registered[h.index].info.Kind != h.info.Kind || s.registered[h.index].info.Name != h.info.Name {
		c.log("error", "the file registers something else than when it was loaded; registrations must not depend on anything", h.info.File, h.info.Line)
		return registration{}, &thrownError{message: "registrations changed"}
	}
	return s.registered[h.index], nil
}
