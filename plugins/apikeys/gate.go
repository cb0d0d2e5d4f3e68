package apikeys

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/apikey"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/security"
)

const headerAPIKey = "X-Api-Key" // canonical form of X-API-Key

// gate is the middleware: it takes the key off the request, checks it, and lets
// the request on with the key's identity in its state.
func (p *Plugin) gate(e *core.RequestEvent) error {
	if _, local := httpapi.CommandLineUser(e.Request.Context()); local {
		return e.Next()
	}
	if redactURL(e.Request) {
		return p.turnAway(e, ErrInURL)
	}
	raw, found := takeKey(e.Request.Header)
	if found {
		key, err := p.check(raw, e)
		if err != nil {
			return p.turnAway(e, err)
		}
		state := httpapi.StateOf(e)
		state.Key = &key.identity
		// Beside a key, a person's token decides what the request may do.
		if !key.identity.Secret || e.Request.Header.Get("Authorization") != "" {
			return e.Next()
		}
		return p.secretKey(e, state.Key)
	}
	return p.withoutKey(e)
}

// turnAway refuses a request and charges it for the attempt.
func (p *Plugin) turnAway(e *core.RequestEvent, err *apierr.Error) error {
	refusal := p.refuse(err)
	if p.cfg.Charge != nil {
		if limited := p.cfg.Charge(e); limited != nil {
			return limited
		}
	}
	return refusal
}

// takeKey removes the key from the headers, where rules and hooks would see
// it, and returns it.
func takeKey(h http.Header) (key string, found bool) {
	if values, ok := h[headerAPIKey]; ok {
		delete(h, headerAPIKey)
		key, found = values[0], true
	}
	if token := bearer(h); strings.HasPrefix(token, apikey.CommonPrefix) {
		delete(h, "Authorization")
		if !found {
			key, found = token, true
		}
	}
	return strings.TrimSpace(key), found
}

// bearer returns the token of the Authorization header, with or without a scheme.
func bearer(h http.Header) string {
	token := strings.TrimSpace(h.Get("Authorization"))
	if len(token) > 7 && strings.EqualFold(token[:7], "Bearer ") {
		return strings.TrimSpace(token[7:])
	}
	return token
}

// check returns the entry of a usable key, or why it cannot be used.
func (p *Plugin) check(raw string, e *core.RequestEvent) (*entry, *apierr.Error) {
	kind, sum, ok := apikey.Parse(raw)
	if !ok {
		return nil, ErrMalformed
	}
	if kind == Secret && fromBrowser(e.Request.Header) {
		return nil, ErrSecretInBrowser
	}
	key := p.keys.Load().find(sum)
	switch {
	case key == nil:
		return nil, ErrUnknown
	case key.revoked:
		return nil, ErrRevoked
	case !key.expires.IsZero() && key.isExpired(p.cfg.Now()):
		return nil, ErrExpired
	case len(key.allowed) > 0 && !key.allows(parseAddr(e.RealIP())):
		return nil, ErrIPNotAllowed.WithMessage("This API key may not be used from the address " + e.RealIP() + ". Add it to the key's allowedIPs.")
	}
	return key, nil
}

// StillAllows reports whether the caller of a request, who was allowed what the
// scope names when it came in, may do it now: a stream outlives the check of its
// key.
func (p *Plugin) StillAllows(e *core.RequestEvent, want string) bool {
	identity := httpapi.StateOf(e).Key
	if identity == nil || httpapi.CallerOf(e).IsOwner() {
		return true
	}
	key := p.keys.Load().byID[identity.ID]
	return key != nil && !key.revoked && !key.isExpired(p.cfg.Now()) && key.allows(parseAddr(e.RealIP())) && key.identity.Scopes.Allows(want)
}

// fromBrowser reports whether the headers are a browser's. Sec-Fetch-Mode alone
// is not: Node's fetch sends it too.
func fromBrowser(h http.Header) bool {
	return h.Get("Origin") != "" || h.Get("Sec-Fetch-Site") != "" || h.Get("Sec-Fetch-Dest") != ""
}

// withoutKey lets a request without a key pass if it needs none: with the token
// of a superuser or of the platform, on the open routes, or with the gate off.
func (p *Plugin) withoutKey(e *core.RequestEvent) error {
	if token := bearer(e.Request.Header); token != "" {
		passed, err := p.loadOwner(e, token)
		if err != nil {
			return p.turnAway(e, err)
		}
		if passed {
			return e.Next()
		}
	}
	if p.cfg.Off || !p.cfg.Settings().APIKeys.Required || needsNoKey(e) {
		return e.Next()
	}
	return p.turnAway(e, ErrRequired)
}

// loadOwner loads the superuser or the platform's claims behind a token.
func (p *Plugin) loadOwner(e *core.RequestEvent, raw string) (bool, *apierr.Error) {
	if p.cfg.Platform != nil && isEdDSA(raw) {
		claims, err := p.cfg.Platform.Verify(raw)
		if err != nil {
			return false, ErrPlatformToken.WithCause(err)
		}
		httpapi.StateOf(e).Platform = claims
		e.Request.Header.Del("Authorization")
		return true, p.standIn(e, claims.Subject)
	}
	// Only a token that claims to be a superuser's is worth the database read
	// here; PocketBase loads the others.
	claims, err := security.ParseUnverifiedJWT(raw)
	if err != nil || !p.isSuperusers(claims[core.TokenClaimCollectionId]) {
		return false, nil
	}
	record, err := e.App.FindAuthRecordByToken(raw, core.TokenTypeAuth)
	if err != nil {
		return false, nil // an invalid token is no token, as in PocketBase
	}
	e.Auth = record // PocketBase does not load it a second time
	return true, nil
}

func (p *Plugin) isSuperusers(collectionID any) bool {
	id, _ := collectionID.(string)
	superusers, err := p.app.FindCachedCollectionByNameOrId(core.CollectionNameSuperusers)
	return err == nil && superusers.Id == id
}

// standIn puts a superuser on the request that exists in no table: PocketBase's
// routes ask for one. Routes that would sign a token for it are closed, see access.go.
func (p *Plugin) standIn(e *core.RequestEvent, id string) *apierr.Error {
	superusers, err := e.App.FindCachedCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		return apierr.New(http.StatusInternalServerError, "internal_error", "The superusers collection is missing.").WithCause(err)
	}
	if signsToken(e.Request.Pattern) {
		return nil
	}
	e.Auth = core.NewRecord(superusers)
	e.Auth.Id = id
	httpapi.StateOf(e).KeyActs = true
	return nil
}

// isEdDSA reports whether the token's header names the platform's algorithm.
func isEdDSA(raw string) bool {
	header, _, ok := strings.Cut(raw, ".")
	if !ok {
		return false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(header)
	return err == nil && strings.Contains(string(decoded), `"EdDSA"`)
}

// keyInText finds keys, also those that are cut off or mistyped at the end.
var keyInText = regexp.MustCompile(apikey.PublishablePrefix + "[0-9A-Za-z]{8}|" + apikey.SecretPrefix + "[0-9A-Za-z]{8}")

// redactURL empties the parts of the URL that hold a key, before the request log
// stores it, and reports whether there was one. The route is chosen already.
func redactURL(r *http.Request) (found bool) {
	if strings.Contains(r.URL.Path, apikey.CommonPrefix) && keyInText.MatchString(r.URL.Path) {
		r.URL.Path, r.URL.RawPath, found = "/redacted", "", true
	}
	if holdsKey(r.URL.RawQuery) {
		r.URL.RawQuery, found = "redacted", true
	}
	return found
}

func holdsKey(query string) bool {
	if strings.Contains(query, "%") {
		if decoded, err := url.QueryUnescape(query); err == nil {
			query = decoded
		}
	}
	return strings.Contains(query, apikey.CommonPrefix) && keyInText.MatchString(query)
}
