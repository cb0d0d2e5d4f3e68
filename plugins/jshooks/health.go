package jshooks

import "context"

// Finding is what a look at the hooks found, for a health check. It names no file
// and no line: everybody can read it.
type Finding struct {
	Degraded bool
	Message  string
	Values   map[string]any
}

// Check looks at whether what should run does. It asks no database.
func (p *Plugin) Check(context.Context) (f Finding, ok bool) {
	if !p.cfg.Settings().JSHooks.Enabled {
		return f, false
	}
	now := p.status.Load()
	f.Values = map[string]any{"version": now.version, "hooks": len(now.hooks)}
	switch {
	case len(now.of(sourceVersion)) > 0:
		f.Degraded, f.Message = true, "The active version of the JavaScript hooks cannot be loaded; the server's log and picobase hooks list --url say why."
	case len(now.of(sourceFolder)) > 0:
		f.Degraded, f.Message = true, "The folder of JavaScript hooks cannot be loaded; the server's log and picobase hooks list --url say why."
	}
	return f, true
}

// Running returns how many calls of hooks are under way.
func (p *Plugin) Running() int { return p.engine.Running() }
