package engine

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/dop251/goja"
	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/tools/router"
)

// Why the engine stopped or refused a call.
var (
	ErrTimeout  = errors.New("the hook took too long")
	ErrMemory   = errors.New("the hook used too much memory")
	ErrBusy     = errors.New("all hook VMs are busy")
	ErrTooDeep  = errors.New("the hook called itself too often")
	ErrCrashed  = errors.New("the hook crashed the VM")
	errCanceled = errors.New("the call was canceled")
)

// refusedError is thrown by what scripts can't have.
type refusedError struct{ name, reason string }

func (e *refusedError) Error() string { return e.name + " isn't available in hooks. " + e.reason }

// thrownError is something that a script threw and that is no API error. Its
// message goes to the hook log, not to the client.
type thrownError struct{ message string }

func (e *thrownError) Error() string { return "hook: " + e.message }

// typed gives an error of the engine the shape that clients see.
func typed(err error) error {
	var suspended *suspendedError
	switch {
	case errors.Is(err, ErrTimeout):
		return httpapi.Error(apierr.New(http.StatusGatewayTimeout, "hook_timeout", "A hook of this project took too long.").WithCause(err))
	case errors.Is(err, ErrMemory):
		return httpapi.Error(apierr.New(http.StatusInternalServerError, "hook_memory", "A hook of this project used too much memory.").WithCause(err))
	case errors.Is(err, ErrBusy):
		return httpapi.Error(apierr.New(http.StatusServiceUnavailable, "hooks_busy", "The hooks of this project are busy. Try again.").
			WithRetryAfter(retryBusy).WithCause(err))
	case errors.As(err, &suspended):
		return httpapi.Error(apierr.New(http.StatusServiceUnavailable, "hook_suspended", "A hook of this project was stopped several times in a row. It is tried again soon.").
			WithRetryAfter(suspended.left).WithCause(err))
	case errors.Is(err, ErrTooDeep), errors.Is(err, ErrCrashed):
		return httpapi.Error(apierr.New(http.StatusInternalServerError, "hook_failed", "A hook of this project failed.").WithCause(err))
	}
	return err
}

// throw throws err in the script.
func (m *machine) throw(err error) {
	var exception *goja.Exception
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	switch {
	case errors.As(err, &interrupted):
		panic(interrupted)
	case errors.As(err, &overflow):
		panic(overflow)
	case errors.As(err, &exception):
		panic(exception)
	}
	panic(m.vm.ToValue(m.errorValue(err)))
}

// passedError came out of e.next() and isn't the hook's own.
type passedError struct{ error }

func (e *passedError) Unwrap() error { return e.error }

// errorValue returns the Error object that stands for a Go error. Thrown again or
// returned, it becomes that same error.
func (m *machine) errorValue(err error) *goja.Object {
	proto, message := m.errorProto, err.Error()
	var api *router.ApiError
	var own *apierr.Error
	isAPI := errors.As(err, &api)
	if errors.As(err, &own) {
		message = own.Message
	} else if isAPI {
		if p := m.apiError["ApiError"]; p != nil {
			proto = p
		}
	}
	o := m.vm.CreateObject(proto)
	m.hidden(o, "message", message)
	if isAPI {
		_ = o.Set("status", api.Status)
		_ = o.Set("data", m.toJS(api.Data))
	}
	var refused *refusedError
	if errors.As(err, &refused) {
		m.hidden(o, "name", "RefusedError")
	}
	m.link(o, err)
	return o
}

func (m *machine) hidden(o *goja.Object, key string, v any) {
	_ = o.DefineDataProperty(key, m.vm.ToValue(v), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
}

func (m *machine) link(o *goja.Object, err error) {
	c := m.call
	if c == nil {
		return
	}
	if c.errs == nil {
		c.errs = map[*goja.Object]error{}
	}
	// A script that makes errors in a loop would otherwise keep all of them.
	if len(c.errs) < 10_000 {
		c.errs[o] = err
	}
}

// goError returns the Go error that an object stands for.
func (m *machine) goError(o *goja.Object) (error, bool) {
	for c := m.call; c != nil; c = c.parent {
		if err, ok := c.errs[o]; ok {
			return err, true
		}
	}
	return nil, false
}

// apiErrors adds the constructors that hooks throw API errors with.
func (m *machine) apiErrors() {
	type maker = func(message string, data any) *router.ApiError
	base := m.vm.CreateObject(m.errorProto)
	m.apiError["ApiError"] = base
	m.hidden(base, "name", "ApiError")
	add := func(name string, proto *goja.Object, make func(a args) *router.ApiError) {
		fn := m.vm.ToValue(func(call goja.ConstructorCall) *goja.Object {
			defer m.enter()()
			o := m.errorValue(make(args{m: m, list: call.Arguments}))
			_ = o.SetPrototype(call.This.Prototype())
			return o
		}).ToObject(m.vm)
		_ = fn.DefineDataProperty("name", m.vm.ToValue(name), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
		_ = fn.DefineDataProperty("prototype", proto, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
		m.hidden(proto, "constructor", fn)
		m.freeze(fn)
		m.set(name, fn)
	}
	add("ApiError", base, func(a args) *router.ApiError {
		return router.NewApiError(status(a.int(0)), a.str(1), a.errorData(2))
	})
	for name, make := range map[string]maker{
		"NotFoundError":        router.NewNotFoundError,
		"BadRequestError":      router.NewBadRequestError,
		"ForbiddenError":       router.NewForbiddenError,
		"UnauthorizedError":    router.NewUnauthorizedError,
		"TooManyRequestsError": router.NewTooManyRequestsError,
		"InternalServerError":  router.NewInternalServerError,
	} {
		proto := m.vm.CreateObject(base)
		m.hidden(proto, "name", name)
		add(name, proto, func(a args) *router.ApiError { return make(a.str(0), a.errorData(1)) })
		m.freeze(proto)
	}
	m.freeze(base)
}

// errorData converts the data of an API error; ValidationErrors keep their codes.
func (a args) errorData(i int) any {
	return a.field(i)
}

func status(code int64) int {
	if code < 400 || code > 599 {
		return http.StatusBadRequest
	}
	return int(code)
}

// describe returns the message and the place of what a script threw. It runs no code of the
// script: toString of what was thrown could do anything.
func (m *machine) describe(err error) (message, file string, line, column int) {
	var exception *goja.Exception
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	var stack []goja.StackFrame
	switch {
	case errors.As(err, &interrupted):
		message, stack = fmt.Sprint(interrupted.Value()), interrupted.Stack()
	case errors.As(err, &overflow):
		message, stack = ErrTooDeep.Error(), overflow.Stack()
	case errors.As(err, &exception):
		message, stack = m.thrown(exception.Value()), exception.Stack()
	default:
		message = err.Error()
	}
	for _, frame := range stack {
		p := frame.Position()
		if strings.HasPrefix(p.Filename, sourceRoot) {
			file = strings.TrimPrefix(p.Filename, sourceRoot)
			line, column = position(p.Line, p.Column)
			break
		}
	}
	return message, file, line, column
}

// thrown describes a value without running its code.
func (m *machine) thrown(v goja.Value) string {
	o, ok := v.(*goja.Object)
	if !ok {
		if v == nil {
			return "undefined"
		}
		if s, ok := v.(goja.String); ok && s.Length() > maxLine {
			return s.Substring(0, maxLine).String()
		}
		return v.String()
	}
	message, ok := m.ownText(o, "message")
	if !ok {
		return "[object " + o.ClassName() + "]"
	}
	for p, i := o, 0; p != nil && i < 10; p, i = p.Prototype(), i+1 {
		name, ok := m.errorNames[p]
		if !ok {
			name, ok = m.ownText(p, "name")
		}
		if ok {
			if name == "Error" {
				break
			}
			return name + ": " + message
		}
	}
	return message
}

// ownText reads a property that holds text, and calls no getter.
func (m *machine) ownText(o *goja.Object, key string) (string, bool) {
	d, err := m.descriptor(goja.Undefined(), o, m.vm.ToValue(key))
	if err != nil {
		return "", false
	}
	if d, ok := d.(*goja.Object); ok {
		if s, ok := d.Get("value").(goja.String); ok && s.Length() <= maxString {
			return s.String(), true
		}
	}
	return "", false
}
