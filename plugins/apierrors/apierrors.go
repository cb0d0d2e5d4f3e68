// Package apierrors gives every error response of a tenant one shape, and every
// request an id.
//
// It is the outermost middleware: errors of PocketBase and of all plugins,
// unknown routes, panics and over-size bodies pass it on their way out. The body
// is a superset of PocketBase's, so stock clients and its dashboard go on working.
//
//	p, err := apierrors.Register(app, apierrors.Config{Priority: outermost})
//	p.Routes(router)
package apierrors

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

// MiddlewareID is the id of the middleware.
const MiddlewareID = "picoErrors"

// Config configures the plugin.
type Config struct {
	// Priority of the middleware. It must be lower than that of every other one.
	Priority int
}

// Plugin is the registered plugin.
type Plugin struct {
	app core.App
	cfg Config
}

// Register returns the plugin. It binds nothing until Routes.
func Register(app core.App, cfg Config) (*Plugin, error) {
	return &Plugin{app: app, cfg: cfg}, nil
}

// Routes binds the middleware.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	r.Bind(&hook.Handler[*core.RequestEvent]{
		Id:       MiddlewareID,
		Priority: p.cfg.Priority,
		Func:     p.handle,
	})
}

func (p *Plugin) handle(e *core.RequestEvent) error {
	state := httpapi.StateOf(e)
	state.RequestID = requestID(e.Request)
	e.Response.Header()[httpapi.HeaderRequestID] = []string{state.RequestID}

	err := p.next(e, state.RequestID)
	// A response may be written and an error returned all the same: a password
	// reset answers 204 and then fails to send the mail.
	if err == nil || e.Written() {
		return err
	}
	if writeErr := apierr.Write(e.Response, e.Request, Translate(err)); writeErr != nil {
		p.app.Logger().Debug("error response not delivered", "error", writeErr, "requestId", state.RequestID)
	}
	return err
}

// next runs the rest of the chain and turns a panic into an error. PocketBase
// recovers too, but further in: this one also covers the middlewares between.
func (p *Plugin) next(e *core.RequestEvent, requestID string) (err error) {
	defer func() {
		switch r := recover(); r {
		case nil:
		case http.ErrAbortHandler: // net/http's way to cut the connection
			panic(r)
		default:
			err = httpapi.Error(apierr.ErrInternal.WithCause(fmt.Errorf("panic: %v", r)))
			p.app.Logger().Error("request panicked", slog.Any("panic", r),
				slog.String("requestId", requestID), slog.String("stack", string(debug.Stack())))
		}
	}()
	return e.Next()
}

// requestID takes over the client's id when it is harmless in logs and
// headers, and makes one otherwise.
func requestID(r *http.Request) string {
	if values := r.Header[httpapi.HeaderRequestID]; len(values) == 1 && validID(values[0]) {
		return values[0]
	}
	// Ids only tell requests apart, so they need not be unguessable.
	return strconv.FormatUint(rand.Uint64()|1<<63, 36) + strconv.FormatUint(rand.Uint64()|1<<63, 36)
}

func validID(id string) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != ':' {
			return false
		}
	}
	return true
}

var errBodyTooLarge = apierr.New(http.StatusRequestEntityTooLarge, "body_too_large",
	"The request body is larger than this endpoint accepts.")

// Translate returns the error that a client is shown for err, whatever it is:
// PicoBase's own, PocketBase's, or one that nobody expected.
func Translate(err error) *apierr.Error {
	var own *apierr.Error
	if errors.As(err, &own) {
		return own
	}
	// PocketBase wraps a body that grew too large in a plain 400.
	if errors.Is(err, apis.ErrRequestEntityTooLarge) {
		return errBodyTooLarge
	}
	native := router.ToApiError(err)
	if raw, ok := native.RawData().(error); ok && errors.As(raw, &own) {
		return own
	}
	translated := apierr.New(native.Status, code(native), native.Message)
	translated.Details = native.Data
	if native.Status == http.StatusTooManyRequests || native.Status == http.StatusServiceUnavailable {
		translated.RetryAfter = time.Second
	}
	return translated
}

func code(err *router.ApiError) string {
	switch err.Status {
	case http.StatusBadRequest:
		if len(err.Data) > 0 {
			return apierr.CodeInvalid
		}
		return "bad_request"
	case http.StatusUnauthorized:
		return "unauthorized"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusConflict:
		return "conflict"
	case http.StatusRequestEntityTooLarge:
		return "body_too_large"
	case http.StatusTooManyRequests:
		return "rate_limited"
	case http.StatusServiceUnavailable:
		return "unavailable"
	}
	if err.Status >= http.StatusInternalServerError {
		return "internal_error"
	}
	return "request_failed"
}
