// Package httpapi holds what the HTTP handlers and middlewares of a tenant's
// plugins share: who is calling, strict decoding of requests, and the way from
// PicoBase's errors into PocketBase's.
//
// It has no routes and no policy of its own: plugins decide, httpapi carries.
//
//	g.POST("", p.create).Bind(httpapi.Require(scope.Keys))
package httpapi

import (
	"context"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/internal/token"
	"github.com/pocketbase/pocketbase/core"
)

// PathPrefix is where PicoBase's own API lives; PocketBase's stays at /api.
const PathPrefix = "/api/v1"

// HeaderRequestID is the header that names a request, in both directions.
const HeaderRequestID = "X-Request-Id"

const stateKey = "picoState"

// State is what PicoBase learns of one request while it passes the middlewares.
// It belongs to the request's goroutine; a batch's inner requests share it.
type State struct {
	// RequestID is the X-Request-Id of the response.
	RequestID string

	// Key is the API key of the request, nil without one.
	Key *Key

	// KeyActs tells that e.Auth is a stand-in superuser made for Key, not a person.
	KeyActs bool

	// Platform holds the claims of the request's platform token, nil without one.
	Platform *token.Claims
}

// Key is the identity of the API key behind a request. It holds nothing secret
// and is never changed once it is on a request.
type Key struct {
	ID     string
	Label  string
	Secret bool // false for a publishable key
	Scopes scope.Set

	// RateLimit replaces the general limit per key; nil leaves that in force.
	RateLimit *config.RateLimit
}

// StateOf returns the state of the request, and makes it on first use.
func StateOf(e *core.RequestEvent) *State {
	if s, ok := e.Get(stateKey).(*State); ok {
		return s
	}
	s := &State{}
	e.Set(stateKey, s)
	return s
}

type commandLineKey struct{}

// WithCommandLine marks a request as made by the command line on this
// machine, inside the process that owns the data folder. It cannot be asked for
// over the network. The user is the operating system's name for who ran it.
func WithCommandLine(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, commandLineKey{}, user)
}

// CommandLineUser returns who made the request on the command line; ok is false
// for requests that came over the network.
func CommandLineUser(ctx context.Context) (user string, ok bool) {
	user, ok = ctx.Value(commandLineKey{}).(string)
	return user, ok
}
