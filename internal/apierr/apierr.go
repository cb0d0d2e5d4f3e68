// Package apierr is the one error shape that PicoBase shows to HTTP clients.
//
// An Error has a stable code, a message that says what to do, optional details
// and a hidden cause for the log. The package knows nothing of PocketBase, so
// that the router can answer in the same shape; inside a tenant, package
// httpapi carries an Error through PocketBase's own error type.
//
//	return apierr.New(http.StatusNotFound, "key_not_found", "There is no API key with this id.")
package apierr

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Error is an error as an API client sees it. Errors are immutable: the With
// methods return changed copies, so that sentinels can be shared.
type Error struct {
	// Status is the HTTP status code.
	Status int

	// Code is the stable, snake_case name of the condition, listed in docs/errors.md.
	Code string

	// Message is a sentence for people. It never holds a secret.
	Message string

	// Details holds machine-readable particulars, for example one entry per invalid field.
	Details map[string]any

	// RetryAfter, when positive, is sent as the Retry-After header, rounded up to whole seconds.
	RetryAfter time.Duration

	cause error
}

// New returns an Error with the given HTTP status, stable code and message.
func New(status int, code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}

// Error returns the message and, when there is one, the cause. It is for logs:
// clients get Message alone.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + " (" + e.cause.Error() + ")"
	}
	return e.Message
}

// Unwrap returns the hidden cause, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an Error with the same code, so that
// errors.Is(err, ErrKeyRevoked) also holds for a copy with details.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// WithMessage returns a copy with another message.
func (e *Error) WithMessage(message string) *Error {
	clone := *e
	clone.Message = message
	return &clone
}

// WithDetail returns a copy with one more detail.
func (e *Error) WithDetail(name string, value any) *Error {
	clone := *e
	clone.Details = maps.Clone(e.Details)
	if clone.Details == nil {
		clone.Details = map[string]any{}
	}
	clone.Details[name] = value
	return &clone
}

// WithCause returns a copy that wraps err. The cause is logged and never sent.
func (e *Error) WithCause(err error) *Error {
	clone := *e
	clone.cause = err
	return &clone
}

// WithRetryAfter returns a copy that asks the client to wait for d.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	clone := *e
	clone.RetryAfter = d
	return &clone
}

// Body is the JSON document of an error response: PicoBase's own error object
// beside the status, message and data of PocketBase's shape, so that stock
// PocketBase clients go on working.
type Body struct {
	Error   Object         `json:"error"`
	Status  int            `json:"status"`
	Message string         `json:"message"`
	Data    map[string]any `json:"data"`
}

// Object is the "error" member of a Body.
type Object struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details"`
}

// Body returns the response document. Details double as PocketBase's data.
func (e *Error) Body() Body {
	details := e.Details
	if details == nil {
		details = map[string]any{}
	}
	return Body{
		Error:   Object{Code: e.Code, Message: e.Message, Details: details},
		Status:  e.Status,
		Message: e.Message,
		Data:    details,
	}
}

// Write sends the error as the whole response of r.
func Write(w http.ResponseWriter, r *http.Request, e *Error) error {
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Del("Content-Length")
	if e.RetryAfter > 0 {
		header.Set("Retry-After", RetryAfterSeconds(e.RetryAfter))
	}
	w.WriteHeader(e.Status)
	if r.Method == http.MethodHead {
		return nil
	}
	return json.NewEncoder(w).Encode(e.Body())
}

// RetryAfterSeconds formats d for the Retry-After header: whole seconds,
// rounded up, at least 1.
func RetryAfterSeconds(d time.Duration) string {
	seconds := int64((d + time.Second - 1) / time.Second)
	return strconv.FormatInt(max(seconds, 1), 10)
}

// ErrInternal answers what went wrong on the server itself; the cause is for the log.
var ErrInternal = New(http.StatusInternalServerError, "internal_error",
	"Something went wrong on the server. The request id helps to find it in the log.")

// CodeInvalid is the code of every error made by Invalid.
const CodeInvalid = "validation_failed"

// Invalid returns the 400 error for a field that breaks a rule. The field is
// named in the message and in the details, in PocketBase's own form:
// {"label": {"code": "validation_invalid_value", "message": "…"}}.
func Invalid(field, rule string) *Error {
	return New(http.StatusBadRequest, CodeInvalid, field+": "+rule).
		WithDetail(field, map[string]string{"code": "validation_invalid_value", "message": rule})
}
