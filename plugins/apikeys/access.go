package apikeys

import (
	"strings"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/core"
)

// secretRule serves a request with a secret key on one of PocketBase's routes:
// it checks the scopes, lets the key act as a superuser where the route asks for
// one, and ends in e.Next() or an error.
type secretRule func(p *Plugin, e *core.RequestEvent, key *httpapi.Key) error

// secretRules says for every route of PocketBase what a secret key needs. A
// route that is not here (ours, a hook's, one that an upgrade brings) is served
// without any power of the key; a test holds the table against the router.
var secretRules = map[string]secretRule{
	"GET /api/collections/{collection}/records":         records(scope.RecordsRead),
	"GET /api/collections/{collection}/records/{id}":    records(scope.RecordsRead),
	"POST /api/collections/{collection}/records":        records(scope.RecordsWrite),
	"PATCH /api/collections/{collection}/records/{id}":  records(scope.RecordsWrite),
	"DELETE /api/collections/{collection}/records/{id}": records(scope.RecordsWrite),

	// What is inside of these two is checked one by one, see inner.go.
	"POST /api/batch":    someRecords(scope.RecordsWrite),
	"POST /api/realtime": someRecords(scope.RecordsRead),

	"GET /api/collections":                          with(scope.SchemaRead),
	"GET /api/collections/{collection}":             with(scope.SchemaRead),
	"GET /api/collections/meta/scaffolds":           with(scope.SchemaRead),
	"GET /api/collections/meta/oauth2-providers":    with(scope.SchemaRead),
	"POST /api/collections":                         with(scope.SchemaWrite),
	"PUT /api/collections/import":                   with(scope.SchemaWrite),
	"PATCH /api/collections/{collection}":           schemaOf,
	"DELETE /api/collections/{collection}":          schemaOf,
	"DELETE /api/collections/{collection}/truncate": schemaOf,

	"GET /api/files/{collection}/{recordId}/{filename}": files,

	"GET /api/settings":   with(scope.Settings),
	"GET /api/logs":       with(scope.Logs),
	"GET /api/logs/stats": with(scope.Logs),
	"GET /api/logs/{id}":  with(scope.Logs),
	"GET /api/backups":    with(scope.Backups),
	"POST /api/backups":   with(scope.Backups),

	// Each of these would let a key become a superuser, outlive its own
	// revocation, or leave the tenant's folder.
	"POST /api/collections/{collection}/impersonate/{id}": never,
	"POST /api/collections/meta/dry-run-view":             never,
	"POST /api/sql":                                   never,
	"POST /api/files/token":                           never,
	"PATCH /api/settings":                             never,
	"POST /api/settings/test/s3":                      never,
	"POST /api/settings/test/email":                   never,
	"POST /api/settings/apple/generate-client-secret": never,
	"POST /api/backups/upload":                        never,
	"DELETE /api/backups/{key}":                       never,
	"POST /api/backups/{key}/restore":                 never,
	"GET /api/crons":                                  never,
	"POST /api/crons/{id}":                            never,
}

// authRoutes sign people in and out. They ask for the person's own password,
// code or token, so a key has no power there.
var authRoutes = map[string]bool{
	"GET /api/collections/{collection}/auth-methods":            true,
	"POST /api/collections/{collection}/auth-refresh":           true,
	"POST /api/collections/{collection}/auth-with-password":     true,
	"POST /api/collections/{collection}/auth-with-oauth2":       true,
	"POST /api/collections/{collection}/auth-with-otp":          true,
	"POST /api/collections/{collection}/request-otp":            true,
	"POST /api/collections/{collection}/request-password-reset": true,
	"POST /api/collections/{collection}/confirm-password-reset": true,
	"POST /api/collections/{collection}/request-verification":   true,
	"POST /api/collections/{collection}/confirm-verification":   true,
	"POST /api/collections/{collection}/request-email-change":   true,
	"POST /api/collections/{collection}/confirm-email-change":   true,
}

// openRoutes need no key: a browser, a mail client or a probe opens them
// without headers.
var openRoutes = map[string]bool{
	"GET /api/realtime":                                         true,
	"GET /api/oauth2-redirect":                                  true,
	"POST /api/oauth2-redirect":                                 true,
	"GET /api/files/{collection}/{recordId}/{filename}":         true,
	"GET /api/backups/{key}":                                    true, // asks for a superuser's file token
	"POST /api/collections/{collection}/confirm-password-reset": true,
	"POST /api/collections/{collection}/confirm-verification":   true,
	"POST /api/collections/{collection}/confirm-email-change":   true,
	"GET " + httpapi.PathPrefix + "/health":                     true,
	"GET " + httpapi.PathPrefix + "/live":                       true,
	"GET " + httpapi.PathPrefix + "/ready":                      true,
	"GET /metrics":                                              true, // decides by itself
}

// needsNoKey reports whether the route is open. It goes by the route that the
// router matched, never by the path, which a client can spell in many ways.
func needsNoKey(e *core.RequestEvent) bool {
	pattern := e.Request.Pattern
	if openRoutes[pattern] || strings.HasPrefix(pattern, "GET /_/") || strings.HasPrefix(pattern, "GET /_pico/") {
		return true
	}
	if authRoutes[pattern] { // superusers sign in to the dashboard without a key
		c, err := e.App.FindCachedCollectionByNameOrId(e.Request.PathValue("collection"))
		return err == nil && c.Name == core.CollectionNameSuperusers
	}
	return false
}

// signsToken reports whether the route hands out a token for whoever e.Auth is.
func signsToken(pattern string) bool {
	return authRoutes[pattern] ||
		pattern == "POST /api/collections/{collection}/impersonate/{id}" ||
		pattern == "POST /api/files/token"
}

// secretKey serves a request that has a secret key and no other credential.
func (p *Plugin) secretKey(e *core.RequestEvent, key *httpapi.Key) error {
	if rule, ok := secretRules[e.Request.Pattern]; ok {
		return rule(p, e, key)
	}
	return e.Next()
}

// elevate lets the key act as a superuser for this request.
func (p *Plugin) elevate(e *core.RequestEvent, key *httpapi.Key) error {
	if err := p.standIn(e, key.ID); err != nil {
		return httpapi.Error(err)
	}
	return e.Next()
}

func (p *Plugin) refuse(err *apierr.Error) error { return httpapi.Error(p.reject(err)) }

// with asks for a scope that is not bound to a collection.
func with(want string) secretRule {
	return func(p *Plugin, e *core.RequestEvent, key *httpapi.Key) error {
		if !key.Scopes.Allows(want) {
			return p.turnAway(e, httpapi.MissingScope(want))
		}
		return p.elevate(e, key)
	}
}

// records asks for a scope on the collection of the path, and on every
// collection that the query reaches from there.
func records(want string) secretRule {
	return func(p *Plugin, e *core.RequestEvent, key *httpapi.Key) error {
		if err := checkRecords(e.App, key, want, e.Request.PathValue("collection"), e.Request.URL.Query()); err != nil {
			return p.turnAway(e, err)
		}
		return p.elevate(e, key)
	}
}

// someRecords asks for a scope on at least one collection.
func someRecords(want string) secretRule {
	return func(p *Plugin, e *core.RequestEvent, key *httpapi.Key) error {
		if !key.Scopes.AllowsSome(want) {
			return p.turnAway(e, httpapi.MissingScope(want))
		}
		return p.elevate(e, key)
	}
}

// schemaOf asks for schema:write, and that the collection is not the system's.
func schemaOf(p *Plugin, e *core.RequestEvent, key *httpapi.Key) error {
	if c, err := e.App.FindCachedCollectionByNameOrId(e.Request.PathValue("collection")); err == nil && c.System {
		return p.turnAway(e, systemCollection(c.Name))
	}
	return with(scope.SchemaWrite)(p, e, key)
}

func never(p *Plugin, e *core.RequestEvent, _ *httpapi.Key) error {
	return p.turnAway(e, ErrNotAllowed)
}

// files lets a key with the scope read protected files. PocketBase knows only
// file tokens of people there, so the request gets one of a superuser on its way
// in and loses it on its way out, before the request log sees the URL.
func files(_ *Plugin, e *core.RequestEvent, key *httpapi.Key) error {
	c, err := e.App.FindCachedCollectionByNameOrId(e.Request.PathValue("collection"))
	if err != nil || c.System || !key.Scopes.Allows(scope.Files) {
		return e.Next()
	}
	superuser := &core.Record{}
	if err := e.App.RecordQuery(core.CollectionNameSuperusers).Limit(1).One(superuser); err != nil {
		return e.Next() // without any superuser the file stays protected
	}
	token, err := superuser.NewFileToken()
	if err != nil {
		return err
	}
	original := e.Request.URL
	defer func() { e.Request.URL = original }()
	withToken := *original
	query := withToken.Query()
	query.Set("token", token)
	withToken.RawQuery = query.Encode()
	e.Request.URL = &withToken
	return e.Next()
}

func systemCollection(name string) *apierr.Error {
	return ErrNotAllowed.WithMessage("No API key can reach the system collection " + name + ". Sign in as a superuser.")
}
