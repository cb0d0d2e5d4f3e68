package engine

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/dop251/goja"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// routePriority is inside of all of PocketBase's own middlewares, whose priorities are negative.
const routePriority = 100

// reserved paths belong to PocketBase and PicoBase; a hook can't define routes below them.
var reserved = []string{
	"/_/", "/_pico/", "/metrics", "/api/v1/", "/api/platform/", "/api/collections/", "/api/settings/", "/api/logs/", "/api/backups/",
	"/api/crons/", "/api/sql/", "/api/files/", "/api/batch/", "/api/realtime/", "/api/health/", "/api/oauth2-redirect/",
}

// managed paths are what people repair a project with: middlewares of hooks stay out.
var managed = []string{
	"/_/", "/_pico/", "/metrics", "/api/v1/", "/api/platform/", "/api/settings/", "/api/logs/", "/api/backups/", "/api/crons/", "/api/sql/",
	"/api/health/", "/api/collections/_", "/api/collections/pbc_",
}

func under(path string, list []string) bool {
	for _, prefix := range list {
		if strings.HasPrefix(path, prefix) || path == strings.TrimSuffix(prefix, "/") {
			return true
		}
	}
	return false
}

// isManaged also holds for the management of collections, but not for their records.
func isManaged(path string) bool {
	if under(path, managed) {
		return true
	}
	rest, ok := strings.CutPrefix(path, "/api/collections")
	if !ok {
		return false
	}
	return strings.Count(strings.Trim(rest, "/"), "/") == 0
}

// middlewareClass is a middleware, of PocketBase or of a script.
var middlewareClass = &class{name: "Middleware"}

type jsMiddleware struct {
	fn       goja.Callable
	priority int
}

type native = *hook.Handler[*core.RequestEvent]

// bindRouter mounts the one middleware that serves routes of hooks. PocketBase's router can't change
// once it is built, so it is asked last: only what no route of PocketBase or PicoBase answers gets here.
func (e *Engine) bindRouter() {
	e.app.OnServe().Bind(&hook.Handler[*core.ServeEvent]{
		Id: "picojs:OnServe",
		Func: func(se *core.ServeEvent) error {
			se.Router.Bind(e.middleware())
			return se.Next()
		},
	})
}

func (e *Engine) middleware() native {
	return &hook.Handler[*core.RequestEvent]{
		Id:       "picojs:router",
		Priority: routePriority,
		Func: func(ev *core.RequestEvent) error {
			g := e.current.Load()
			if g == nil {
				return ev.Next()
			}
			if isManaged(ev.Request.URL.Path) {
				return e.within(ev, ev.Next)
			}
			if unclaimed(ev.Request.Pattern) {
				if _, pattern := g.routes.Handler(ev.Request); pattern != "" {
					return e.serve(g, ev)
				}
			}
			return e.within(ev, func() error {
				if len(g.uses) == 0 {
					return ev.Next()
				}
				return e.chain(g, "routerUse", ev, g.uses, ev.Next)
			})
		},
	}
}

// within names the request to the calls that happen in it. PocketBase saves records without the context of
// the request, but on its goroutine.
func (e *Engine) within(ev *core.RequestEvent, next func() error) error {
	id := requestID(ev)
	if g := e.current.Load(); id == "" || g == nil || len(g.hooks) == 0 {
		return next()
	}
	on := goroutine()
	if _, known := e.requests.LoadOrStore(on, id); known {
		return next()
	}
	defer e.requests.Delete(on)
	return next()
}

// bindRequests is within for the requests in a batch, which pass no middleware and have a goroutine of their own.
func (e *Engine) bindRequests() {
	for _, h := range []*hook.TaggedHook[*core.RecordRequestEvent]{
		e.app.OnRecordCreateRequest(), e.app.OnRecordUpdateRequest(), e.app.OnRecordDeleteRequest(),
	} {
		h.Bind(&hook.Handler[*core.RecordRequestEvent]{
			Id:       "picojs:request",
			Priority: -routePriority,
			Func:     func(ev *core.RecordRequestEvent) error { return e.within(ev.RequestEvent, ev.Next) },
		})
	}
}

// unclaimed reports whether PocketBase has no route for the request but its catch-all and the public folder.
func unclaimed(pattern string) bool {
	switch pattern {
	case "", "/", "/{path...}", "GET /{path...}":
		return true
	}
	return false
}

type routeKey struct{}

// hookRoute reports whether the request is one for a route of hooks.
func hookRoute(e *core.RequestEvent) bool {
	_, ok := e.Request.Context().Value(routeKey{}).(*routed)
	return ok
}

// routed takes the event and the result through http.ServeMux, which knows neither.
type routed struct {
	engine *Engine
	g      *Generation
	event  *core.RequestEvent
	err    error
}

// serve lets the generation's mux choose the route and fill in the path values.
func (e *Engine) serve(g *Generation, ev *core.RequestEvent) error {
	r := &routed{engine: e, g: g, event: ev}
	g.routes.ServeHTTP(ev.Response, ev.Request.WithContext(context.WithValue(ev.Request.Context(), routeKey{}, r)))
	return r.err
}

// route adds a route to the mux.
func (g *Generation) route(h handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the route can't be added: %v", p)
		}
	}()
	path := h.info.path
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("the path must begin with a slash")
	}
	if under(path, reserved) {
		return fmt.Errorf("%s belongs to the server; choose another path", path)
	}
	pattern := path
	if h.info.method != "" {
		pattern = h.info.method + " " + path
	}
	g.routes.HandleFunc(pattern, func(_ http.ResponseWriter, req *http.Request) {
		r, ok := req.Context().Value(routeKey{}).(*routed)
		if !ok {
			return
		}
		r.event.Request = req
		list := append(append([]handler{}, r.g.uses...), h)
		r.err = r.engine.chain(r.g, h.info.Name, r.event, list, nil)
	})
	return nil
}

// chain runs middlewares and a handler, each from the e.next() of the one before.
func (e *Engine) chain(g *Generation, name string, ev *core.RequestEvent, list []handler, next func() error) error {
	t := target{gen: g, hook: name, app: ev.App, ctx: ev.Request.Context(), requestID: requestID(ev)}
	return e.do(t, func(c *call) error {
		var mids []any
		var last goja.Callable
		for _, h := range list {
			r, err := c.find(h)
			if err != nil {
				return err
			}
			mids = append(mids, r.mids...)
			if r.fn != nil {
				last = r.fn
			}
		}
		slices.SortStableFunc(mids, func(x, y any) int { return priority(x) - priority(y) })
		var steps []func(next func() error) error
		for _, mid := range mids {
			steps = append(steps, c.middleware(mid, ev))
		}
		if last != nil {
			steps = append(steps, c.step(last, ev))
		}
		var run func(i int) error
		run = func(i int) error {
			if i < len(steps) {
				return steps[i](func() error { return run(i + 1) })
			}
			if next == nil {
				return nil
			}
			return c.outside(next)
		}
		return run(0)
	})
}

func (c *call) middleware(v any, ev *core.RequestEvent) func(next func() error) error {
	switch mid := v.(type) {
	case goja.Callable:
		return c.step(mid, ev)
	case *jsMiddleware:
		return c.step(mid.fn, ev)
	case native:
		return func(next func() error) error {
			// An event of its own, because a chain started on the request's would
			// make it forget where it came from.
			inner := &core.RequestEvent{App: ev.App, Auth: ev.Auth}
			inner.Request, inner.Response = ev.Request, ev.Response
			inner.SetAll(ev.GetAll())
			outer := ev.Response
			defer func() { ev.Response = outer }()
			return new(hook.Hook[*core.RequestEvent]).Trigger(inner, mid.Func, func(*core.RequestEvent) error {
				ev.Auth, ev.Request, ev.Response = inner.Auth, inner.Request, inner.Response
				ev.SetAll(inner.GetAll())
				return next()
			})
		}
	}
	return func(next func() error) error { return next() }
}

func (c *call) step(fn goja.Callable, req *core.RequestEvent) func(next func() error) error {
	return func(next func() error) error {
		ev := &event{source: source{class: requestEventClass, value: req, app: &req.App, req: req}, next: next}
		defer func() { ev.over = true }()
		return c.invoke(fn, c.m.wrap(requestEventClass, ev))
	}
}
