package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dop251/goja"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/cron"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// registrars makes on*, routerAdd, routerUse, cronAdd and cronRemove. They write down what a file
// asks for; nothing is bound by them.
func (m *machine) registrars() {
	for _, name := range hookNames {
		m.registrar(name, func(a args) registration {
			fn := a.handler(0)
			return registration{fn: fn, info: HookInfo{Kind: "hook", Name: name, Tags: a.strs(1)}}
		})
	}
	for _, name := range refusedHooks {
		m.set(name, m.refusal(name+"()", "It belongs to the server. Hooks can react to records, requests, mails and realtime, and run on a schedule."))
	}
	m.registrar("routerAdd", func(a args) registration {
		method, path := strings.ToUpper(a.str(0)), a.str(1)
		if !slices.Contains([]string{"", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}, method) {
			m.throwType("unknown method " + clip(method))
		}
		return registration{
			fn: a.handler(2), mids: a.middlewares(3),
			info: HookInfo{Kind: "route", Name: strings.TrimSpace(method + " " + path), method: method, path: path},
		}
	})
	m.registrar("routerUse", func(a args) registration {
		return registration{mids: a.middlewares(0), info: HookInfo{Kind: "middleware", Name: "routerUse"}}
	})
	m.registrar("cronAdd", func(a args) registration {
		schedule := a.str(1)
		if _, err := cron.NewSchedule(schedule); err != nil {
			m.throw(fmt.Errorf("cronAdd: %w", err))
		}
		return registration{fn: a.handler(2), info: HookInfo{Kind: "cron", Name: a.str(0), Schedule: schedule}}
	})
	m.registrar("cronRemove", func(a args) registration {
		return registration{info: HookInfo{Kind: "cron removal", Name: a.str(0)}}
	})
}

func (m *machine) registrar(name string, make func(a args) registration) {
	m.function(name, func(a args) any {
		if m.call == nil || m.call.registering == nil {
			m.throwType(name + "() can be used at the top of a *.pb.js file only")
		}
		r := make(a)
		r.info.File, r.info.Line = m.here()
		if len(m.call.registering.registered) >= 1000 {
			m.throwRange("the file registers too much")
		}
		m.call.registering.registered = append(m.call.registering.registered, r)
		return undefined{}
	})
}

func (a args) handler(i int) goja.Callable {
	fn, ok := goja.AssertFunction(a.at(i))
	if !ok {
		a.m.throwType("the handler must be a function")
	}
	return fn
}

func (a args) middlewares(from int) []any {
	var list []any
	for i := from; i < len(a.list); i++ {
		if f := unwrap(a.at(i)); f != nil {
			f.alive()
			switch f.value.(type) {
			case *jsMiddleware, *hook.Handler[*core.RequestEvent]:
				list = append(list, f.value)
				continue
			}
		}
		list = append(list, a.handler(i))
	}
	return list
}

func priority(v any) int {
	switch mid := v.(type) {
	case *jsMiddleware:
		return mid.priority
	case native:
		return mid.Priority
	}
	return 0
}

// swapCrons replaces the jobs of one generation by those of another.
func (e *Engine) swapCrons(old, g *Generation) {
	if old != nil {
		for _, h := range old.crons {
			e.app.Cron().Remove(cronID(h))
		}
	}
	if g == nil {
		return
	}
	for _, h := range g.crons {
		// The schedule was checked when the file was loaded.
		_ = e.app.Cron().Add(cronID(h), h.info.Schedule, func() { e.runCron(g, h) })
	}
}

func cronID(h handler) string { return "picojs:" + h.info.Name }

func (e *Engine) runCron(g *Generation, h handler) {
	_ = e.do(target{gen: g, hook: "cron " + h.info.Name, app: e.app}, func(c *call) error {
		r, err := c.find(h)
		if err != nil {
			return err
		}
		return c.invoke(r.fn)
	})
}
