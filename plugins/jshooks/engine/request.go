package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/dop251/goja"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// storeKey keeps what hooks put into a request or a connection apart from what PocketBase and PicoBase keep
// there: the key that called, the auth record.
const storeKey = "picojs:store"

// What hooks may keep, in bytes, for a request, and for a connection, which may last and of which there may be
// many.
const (
	maxKept       = 1 << 20
	maxKeptClient = 16 << 10
)

// kept is what hooks have kept. It is never changed, because a connection has several goroutines.
type kept struct {
	values map[string]any
	sizes  map[string]int
}

func keptOf(v any) *kept {
	if k, ok := v.(*kept); ok {
		return k
	}
	return &kept{}
}

// with adds the argument after the key.
func (k *kept) with(a args, limit int) (*kept, error) {
	key, v := a.str(0), a.keepable(1)
	to := &kept{values: maps.Clone(k.values), sizes: maps.Clone(k.sizes)}
	if to.values == nil {
		to.values, to.sizes = map[string]any{}, map[string]int{}
	}
	to.values[key], to.sizes[key] = v, len(key)+weigh(v)+16
	total := 0
	for _, n := range to.sizes {
		total += n
	}
	if total > limit {
		return k, fmt.Errorf("more than %d bytes can't be kept here; use a collection", limit)
	}
	return to, nil
}

const maxBody = 8 << 20

func requestID(e *core.RequestEvent) string { return httpapi.StateOf(e).RequestID }

func init() {
	c := requestEventClass
	c.props = props{
		"auth": {
			get: func(_ *machine, v any) any { return v.(*event).req.Auth },
			set: func(m *machine, v any, to goja.Value) {
				if absent(to) {
					v.(*event).req.Auth = nil
					return
				}
				v.(*event).req.Auth = m.userRecord(to)
			},
		},
		"request":  {get: func(_ *machine, v any) any { return wrapped{requestClass, v.(*event).req} }},
		"response": {get: func(_ *machine, v any) any { return wrapped{responseClass, v.(*event).req} }},
	}
	c.methods = merge(map[string]method{
		"json": answer(func(a args, e *core.RequestEvent, code int) (func() error, error) {
			v := a.value(1)
			_, err := marshal(v, a.m.engine.cfg.MaxResponse)
			return func() error { return e.JSON(code, v) }, err
		}),
		"string": answer(func(a args, e *core.RequestEvent, code int) (func() error, error) {
			s := a.limited(1)
			return func() error { return e.String(code, s) }, nil
		}),
		"html": answer(func(a args, e *core.RequestEvent, code int) (func() error, error) {
			s := a.limited(1)
			return func() error { return e.HTML(code, s) }, nil
		}),
		"blob": answer(func(a args, e *core.RequestEvent, code int) (func() error, error) {
			kind, body := a.m.oneLine(a.str(1)), a.m.bytes(a.at(2))
			if int64(len(body)) > a.m.engine.cfg.MaxResponse {
				a.m.throwRange("the response is too large")
			}
			return func() error { return e.Blob(code, kind, body) }, nil
		}),
		"noContent": answer(func(_ args, e *core.RequestEvent, code int) (func() error, error) {
			return func() error { return e.NoContent(code) }, nil
		}),
		"redirect": answer(func(a args, e *core.RequestEvent, code int) (func() error, error) {
			to := a.m.oneLine(a.str(1))
			return func() error { return e.Redirect(code, to) }, nil
		}),
		"requestInfo": requestGet(func(e *core.RequestEvent, _ args) (any, error) {
			info, err := e.RequestInfo()
			return wrapped{requestInfoClass, info}, err
		}),
		"bindBody": requestGet(func(e *core.RequestEvent, a args) (any, error) {
			data := map[string]any{}
			if err := e.BindBody(&data); err != nil {
				return nil, err
			}
			a.m.bind(a.at(0), data)
			return undefined{}, nil
		}),
		"hasSuperuserAuth": requestGet(func(e *core.RequestEvent, _ args) (any, error) { return e.HasSuperuserAuth(), nil }),
		"realIP":           requestGet(func(e *core.RequestEvent, _ args) (any, error) { return e.RealIP(), nil }),
		"remoteIP":         requestGet(func(e *core.RequestEvent, _ args) (any, error) { return e.RemoteIP(), nil }),
		"isTLS":            requestGet(func(e *core.RequestEvent, _ args) (any, error) { return e.IsTLS(), nil }),
		"written":          requestGet(func(e *core.RequestEvent, _ args) (any, error) { return e.Written(), nil }),
		"status":           requestGet(func(e *core.RequestEvent, _ args) (any, error) { return e.Status(), nil }),
		"setCookie": requestGet(func(e *core.RequestEvent, a args) (any, error) {
			e.SetCookie(cookie(a.m.mapOf(a.at(0))))
			return undefined{}, nil
		}),
		"get": requestGet(func(e *core.RequestEvent, a args) (any, error) {
			return keptOf(e.Get(storeKey)).values[a.str(0)], nil
		}),
		"set": requestGet(func(e *core.RequestEvent, a args) (any, error) {
			kept, err := keptOf(e.Get(storeKey)).with(a, maxKept)
			e.Set(storeKey, kept)
			return undefined{}, err
		}),
		"findUploadedFiles": requestGet(func(e *core.RequestEvent, a args) (any, error) { return e.FindUploadedFiles(a.str(0)) }),
		"error": requestGet(func(e *core.RequestEvent, a args) (any, error) {
			return e.Error(status(a.int(0)), a.str(1), a.errorData(2)), nil
		}),
		"badRequestError":      apiError(router.NewBadRequestError),
		"notFoundError":        apiError(router.NewNotFoundError),
		"forbiddenError":       apiError(router.NewForbiddenError),
		"unauthorizedError":    apiError(router.NewUnauthorizedError),
		"tooManyRequestsError": apiError(router.NewTooManyRequestsError),
		"internalServerError":  apiError(router.NewInternalServerError),
	}, refusals("Use e.json, e.string, e.html or e.blob.", "stream", "fileFS", "xml", "flush"))

}

func requestGet(fn func(e *core.RequestEvent, a args) (any, error)) method {
	return func(_ *machine, v any, a args) (any, error) { return fn(v.(*event).req, a) }
}

// answer makes a method that writes the response. One is enough: with more a hook could send without an end. So the
// arguments are read first, because reading them may run a getter that answers too.
func answer(prepare func(a args, e *core.RequestEvent, code int) (write func() error, err error)) method {
	return func(m *machine, v any, a args) (any, error) {
		code := int(a.int(0))
		if code < 200 || code > 599 {
			m.throwRange("the status must be between 200 and 599")
		}
		e := v.(*event).req
		write, err := prepare(a, e, code)
		if err != nil {
			return nil, err
		}
		if e.Written() {
			m.throwType("the request was answered already")
		}
		return undefined{}, write()
	}
}

func apiError(make func(message string, data any) *router.ApiError) method {
	return func(_ *machine, _ any, a args) (any, error) { return make(a.str(0), a.errorData(1)), nil }
}

// limited is a text that may be a response.
func (a args) limited(i int) string {
	s := a.str(i)
	if int64(len(s)) > a.m.engine.cfg.MaxResponse {
		a.m.throwRange("the response is too large")
	}
	return s
}

// keepable copies what a script stores beyond its VM.
func (a args) keepable(i int) any {
	if f := unwrap(a.at(i)); f != nil && f.class.is(recordClass) {
		return a.field(i)
	}
	return plain(a.value(i))
}

// bind sets the properties that the target has, as Go's binding of a body does.
func (m *machine) bind(v goja.Value, data map[string]any) {
	o, ok := v.(*goja.Object)
	if !ok {
		m.throwType("e.bindBody needs an object")
	}
	keys := o.Keys()
	if len(keys) == 0 {
		m.fill(v, data)
		return
	}
	for _, k := range keys {
		if value, ok := data[k]; ok {
			_ = o.Set(k, m.toJS(value))
		}
	}
}

// private are headers that would let a hook act as the superuser whose request it sees.
func private(e *core.RequestEvent, name string) bool {
	if !e.HasSuperuserAuth() {
		return false
	}
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Cookie", "X-Api-Key", "Apikey":
		return true
	}
	return false
}

var requestInfoClass = new(class)

func init() {
	*requestInfoClass = class{
		name: "RequestInfo",
		props: props{
			"method":  {get: func(_ *machine, v any) any { return v.(*core.RequestInfo).Method }},
			"context": {get: func(_ *machine, v any) any { return v.(*core.RequestInfo).Context }},
			"query":   {get: func(_ *machine, v any) any { return v.(*core.RequestInfo).Query }},
			"body":    {get: func(_ *machine, v any) any { return v.(*core.RequestInfo).Body }},
			"auth":    {get: func(_ *machine, v any) any { return v.(*core.RequestInfo).Auth }},
			"headers": {get: func(_ *machine, v any) any {
				info := v.(*core.RequestInfo)
				headers := map[string]string{}
				for k, value := range info.Headers {
					if !info.HasSuperuserAuth() || (k != "authorization" && k != "cookie" && k != "x_api_key" && k != "apikey") {
						headers[k] = value
					}
				}
				return headers
			}},
		},
		methods: map[string]method{
			"hasSuperuserAuth": func(_ *machine, v any, _ args) (any, error) { return v.(*core.RequestInfo).HasSuperuserAuth(), nil },
		},
	}
}

var requestClass = new(class)

func init() {
	*requestClass = class{
		name: "Request",
		props: props{
			"method":        {get: func(_ *machine, v any) any { return v.(*core.RequestEvent).Request.Method }},
			"host":          {get: func(_ *machine, v any) any { return v.(*core.RequestEvent).Request.Host }},
			"pattern":       {get: func(_ *machine, v any) any { return v.(*core.RequestEvent).Request.Pattern }},
			"remoteAddr":    {get: func(_ *machine, v any) any { return v.(*core.RequestEvent).Request.RemoteAddr }},
			"contentLength": {get: func(_ *machine, v any) any { return v.(*core.RequestEvent).Request.ContentLength }},
			"url":           {get: func(_ *machine, v any) any { return wrapped{urlClass, v} }},
			"header":        {get: func(_ *machine, v any) any { return wrapped{headerClass, headers{v.(*core.RequestEvent), false}} }},
			"body":          {get: func(_ *machine, v any) any { return wrapped{bodyClass, v} }},
		},
		methods: merge(map[string]method{
			"pathValue": onRequest(func(e *core.RequestEvent, a args) any { return e.Request.PathValue(a.str(0)) }),
			"userAgent": onRequest(func(e *core.RequestEvent, _ args) any { return e.Request.UserAgent() }),
			"referer":   onRequest(func(e *core.RequestEvent, _ args) any { return e.Request.Referer() }),
			"formValue": onRequest(func(e *core.RequestEvent, a args) any { return e.Request.FormValue(a.str(0)) }),
			"cookie": func(_ *machine, v any, a args) (any, error) {
				e := v.(*core.RequestEvent)
				if private(e, "Cookie") {
					return nil, http.ErrNoCookie
				}
				c, err := e.Request.Cookie(a.str(0))
				if err != nil {
					return nil, err
				}
				return map[string]any{"name": c.Name, "value": c.Value}, nil
			},
		}, refusals("Use e.findUploadedFiles(name) for files, and e.bindBody(data) or e.requestInfo().body for the rest.",
			"formFile", "multipartForm", "multipartReader", "parseForm", "parseMultipartForm", "postFormValue")),
	}
}

func onRequest(fn func(e *core.RequestEvent, a args) any) method {
	return func(_ *machine, v any, a args) (any, error) { return fn(v.(*core.RequestEvent), a), nil }
}

// query leaves out the tokens of PocketBase's files, which superusers' are, too.
func query(e *core.RequestEvent) url.Values {
	q := e.Request.URL.Query()
	if strings.HasPrefix(e.Request.URL.Path, "/api/") && !hookRoute(e) {
		q.Del("token")
	}
	return q
}

var urlClass = new(class)

func init() {
	*urlClass = class{
		name: "URL",
		props: props{
			"path":     {get: func(_ *machine, v any) any { return v.(*core.RequestEvent).Request.URL.Path }},
			"host":     {get: func(_ *machine, v any) any { return v.(*core.RequestEvent).Request.URL.Host }},
			"rawQuery": {get: func(_ *machine, v any) any { return query(v.(*core.RequestEvent)).Encode() }},
		},
		methods: map[string]method{
			"query": onRequest(func(e *core.RequestEvent, _ args) any { return wrapped{valuesClass, query(e)} }),
			"string": onRequest(func(e *core.RequestEvent, _ args) any {
				u := *e.Request.URL
				u.RawQuery = query(e).Encode()
				return u.String()
			}),
		},
	}
}

var valuesClass = new(class)

func init() {
	*valuesClass = class{
		name: "Values",
		methods: map[string]method{
			"get":    func(_ *machine, v any, a args) (any, error) { return v.(url.Values).Get(a.str(0)), nil },
			"has":    func(_ *machine, v any, a args) (any, error) { return v.(url.Values).Has(a.str(0)), nil },
			"getAll": func(_ *machine, v any, a args) (any, error) { return v.(url.Values)[a.str(0)], nil },
			"encode": func(_ *machine, v any, _ args) (any, error) { return v.(url.Values).Encode(), nil },
			"toJSON": func(_ *machine, v any, _ args) (any, error) { return map[string][]string(v.(url.Values)), nil },
		},
	}
}

// headers are those of the request or of the response.
type headers struct {
	e        *core.RequestEvent
	response bool
}

func (h headers) all() http.Header {
	if h.response {
		return h.e.Response.Header()
	}
	return h.e.Request.Header
}

func (h headers) hidden(name string) bool { return !h.response && private(h.e, name) }

var headerClass = new(class)

func init() {
	*headerClass = class{
		name: "Header",
		methods: map[string]method{
			"get": func(_ *machine, v any, a args) (any, error) {
				if h := v.(headers); !h.hidden(a.str(0)) {
					return h.all().Get(a.str(0)), nil
				}
				return "", nil
			},
			"values": func(_ *machine, v any, a args) (any, error) {
				if h := v.(headers); !h.hidden(a.str(0)) {
					return h.all().Values(a.str(0)), nil
				}
				return []string{}, nil
			},
			"set": headerDo(func(h http.Header, a args) { h.Set(a.str(0), a.str(1)) }),
			"add": headerDo(func(h http.Header, a args) { h.Add(a.str(0), a.str(1)) }),
			"del": headerDo(func(h http.Header, a args) { h.Del(a.str(0)) }),
			"toJSON": func(_ *machine, v any, _ args) (any, error) {
				list := map[string][]string{}
				for k, values := range v.(headers).all() {
					if !v.(headers).hidden(k) {
						list[k] = values
					}
				}
				return list, nil
			},
		},
	}
}

func headerDo(fn func(h http.Header, a args)) method {
	return func(m *machine, v any, a args) (any, error) {
		h := v.(headers)
		if len(h.all()) > 200 || len(a.str(1)) > 16<<10 {
			m.throwRange("too many headers, or one that is too long")
		}
		m.oneLine(a.str(0) + a.str(1))
		if !h.hidden(a.str(0)) {
			fn(h.all(), a)
		}
		return undefined{}, nil
	}
}

// bodyClass is read with toString(e.request.body) or toBytes.
var bodyClass = &class{name: "Body"}

func readBody(e *core.RequestEvent, limit int64) ([]byte, error) {
	if limit <= 0 || limit > maxBody {
		limit = maxBody
	}
	return io.ReadAll(io.LimitReader(e.Request.Body, limit))
}

var responseClass = new(class)

func init() {
	*responseClass = class{
		name: "Response",
		methods: merge(map[string]method{
			"header": func(_ *machine, v any, _ args) (any, error) {
				return wrapped{headerClass, headers{v.(*core.RequestEvent), true}}, nil
			},
		}, refusals("Use e.json, e.string, e.html or e.blob.", "write", "writeHeader")),
	}
}

// cookie makes one of what was copied out of the VM; Go's own writing of it leaves out what no header may hold.
func cookie(m map[string]any) *http.Cookie {
	raw, _ := json.Marshal(m)
	var c http.Cookie
	_ = json.Unmarshal(raw, &c)
	return &c
}

// apisObject makes $apis: what of PocketBase's package has nothing to climb up from.
func (m *machine) apisObject() {
	o := m.vm.NewObject()
	for name, fn := range map[string]func(a args) any{
		"requireGuestOnly":            func(args) any { return wrapped{middlewareClass, apis.RequireGuestOnly()} },
		"requireAuth":                 func(a args) any { return wrapped{middlewareClass, apis.RequireAuth(a.strs(0)...)} },
		"requireSuperuserAuth":        func(args) any { return wrapped{middlewareClass, apis.RequireSuperuserAuth()} },
		"requireSuperuserOrOwnerAuth": func(a args) any { return wrapped{middlewareClass, apis.RequireSuperuserOrOwnerAuth(a.str(0))} },
		"skipSuccessActivityLog":      func(args) any { return wrapped{middlewareClass, apis.SkipSuccessActivityLog()} },
		"gzip":                        func(args) any { return wrapped{middlewareClass, apis.Gzip()} },
		"bodyLimit": func(a args) any {
			limit := a.int(0)
			if limit <= 0 || limit > apis.DefaultMaxBodySize {
				limit = apis.DefaultMaxBodySize
			}
			return wrapped{middlewareClass, apis.BodyLimit(limit)}
		},
		"enrichRecord": func(a args) any {
			a.m.check(apis.EnrichRecord(a.event(0).req, a.m.userRecord(a.at(1)), a.strs(2)...))
			return undefined{}
		},
		"enrichRecords": func(a args) any {
			a.m.check(apis.EnrichRecords(a.event(0).req, a.m.userRecords(a.at(1)), a.strs(2)...))
			return undefined{}
		},
		"recordAuthResponse": func(a args) any {
			a.m.check(apis.RecordAuthResponse(a.event(0).req, a.m.userRecord(a.at(1)), a.str(2), a.value(3)))
			return undefined{}
		},
	} {
		m.hidden(o, name, m.native(name, func(call goja.FunctionCall) goja.Value {
			return m.toJS(fn(args{m: m, list: call.Arguments}))
		}))
	}
	m.hidden(o, "static", m.refusal("$apis.static()", "Files of the server can't be served; put them into the project's public folder or into file fields."))
	m.freeze(o)
	m.set("$apis", o)
}

func (m *machine) check(err error) {
	if err != nil {
		m.throw(err)
	}
}

func (a args) event(i int) *event {
	f := unwrap(a.at(i))
	if f != nil {
		f.alive()
		if ev, ok := f.value.(*event); ok && ev.req != nil {
			return ev
		}
	}
	a.m.throwType("this needs the event of a request")
	return nil
}
