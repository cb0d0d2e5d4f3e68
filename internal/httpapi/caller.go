package httpapi

import (
	"net/http"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// CallerKind says what a request was authorized by.
type CallerKind string

// The kinds of callers, the strongest first: when a request carries several
// credentials, it acts as the first of them.
const (
	CallerCommandLine CallerKind = "cli"
	CallerSuperuser   CallerKind = "superuser"
	CallerPlatform    CallerKind = "platform"
	CallerUser        CallerKind = "user"
	CallerSecretKey   CallerKind = "secret_key"
	CallerPublishable CallerKind = "publishable_key"
	CallerAnonymous   CallerKind = "anonymous"
)

// Caller is who makes a request.
type Caller struct {
	Kind CallerKind

	// ID is the record id of a person, the id of a key, the subject of a platform token.
	ID string

	// Name is for people: an email address, a key's label, an operating system user.
	Name string

	scopes scope.Set
}

// CallerOf returns who makes the request. It is complete once PocketBase has
// loaded the Authorization header.
func CallerOf(e *core.RequestEvent) Caller {
	if user, ok := CommandLineUser(e.Request.Context()); ok {
		return Caller{Kind: CallerCommandLine, ID: user, Name: user}
	}
	s := StateOf(e)
	if s.Platform != nil {
		return Caller{Kind: CallerPlatform, ID: s.Platform.Subject, Name: s.Platform.Name()}
	}
	caller := Caller{Kind: CallerAnonymous}
	if s.Key != nil {
		caller = Caller{Kind: CallerPublishable, ID: s.Key.ID, Name: s.Key.Label, scopes: s.Key.Scopes}
		if s.Key.Secret {
			caller.Kind = CallerSecretKey
		}
	}
	if e.Auth != nil && !s.KeyActs {
		caller.Kind, caller.ID, caller.Name = CallerUser, e.Auth.Id, e.Auth.Email()
		if e.Auth.IsSuperuser() {
			caller.Kind = CallerSuperuser
		}
	}
	return caller
}

// IsOwner reports whether the caller may do everything: a superuser, the
// platform on behalf of a person, or someone on this machine's command line.
func (c Caller) IsOwner() bool {
	return c.Kind == CallerSuperuser || c.Kind == CallerPlatform || c.Kind == CallerCommandLine
}

// Scopes returns what the request's secret key may do. It is empty without one.
func (c Caller) Scopes() scope.Set { return c.scopes }

// Allows reports whether the caller may do what the scope names.
func (c Caller) Allows(want string) bool {
	return c.IsOwner() || c.scopes.Allows(want)
}

// Errors of Require.
var (
	ErrCredentialsRequired = apierr.New(http.StatusUnauthorized, "credentials_required",
		"This needs a secret API key in the X-API-Key header, or a superuser's token in Authorization.")
	ErrSecretKeyRequired = apierr.New(http.StatusForbidden, "secret_key_required",
		"This needs a secret API key or a superuser's token; a publishable key or a user's token is not enough.")
	ErrScopeRequired = apierr.New(http.StatusForbidden, "api_key_scope_required",
		"This API key does not have the scope for that.")
)

// Require guards a route of PicoBase's API: it lets owners pass, and secret
// keys with the given scope.
func Require(want string) *hook.Handler[*core.RequestEvent] {
	return &hook.Handler[*core.RequestEvent]{
		Id: "picoRequire",
		Func: func(e *core.RequestEvent) error {
			if err := Check(CallerOf(e), want); err != nil {
				return Error(err)
			}
			return e.Next()
		},
	}
}

// Check returns the error for a caller without the scope want, or nil.
func Check(caller Caller, want string) *apierr.Error {
	switch {
	case caller.Allows(want):
		return nil
	case caller.Kind == CallerAnonymous:
		return ErrCredentialsRequired
	case len(caller.scopes.Strings()) > 0:
		return MissingScope(want)
	default:
		return ErrSecretKeyRequired
	}
}

// MissingScope returns ErrScopeRequired with the name of the scope.
func MissingScope(want string) *apierr.Error {
	return ErrScopeRequired.
		WithMessage("This API key does not have the scope "+want+"; create or update a key that has it.").
		WithDetail("scope", want)
}
