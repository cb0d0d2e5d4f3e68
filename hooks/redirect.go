// Package hooks holds our Go rules on PocketBase events that serve several plugins.
//
// A rule here has no state, routes or settings of its own; what has any of
// these is a plugin.
//
//	hooks.RestrictRedirects(app, settings.Current)
package hooks

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

// ErrRedirectNotAllowed answers a sign-in whose redirect URL is not listed.
var ErrRedirectNotAllowed = apierr.New(http.StatusBadRequest, "redirect_not_allowed",
	"The redirect URL is not in the setting auth.redirectURLs.")

const oauth2Pattern = "POST /api/collections/{collection}/auth-with-oauth2"

// RestrictRedirects refuses OAuth2 sign-ins whose redirect URL is not in the
// setting auth.redirectURLs, while that has entries. PocketBase's own popup
// page on this server is always allowed. A URL must be in ASCII: international
// host names as browsers send them, other paths percent-encoded. Call it before
// the app serves.
//
// It is a middleware and not a handler of OnRecordAuthWithOAuth2Request, which
// fires after the code was exchanged.
func RestrictRedirects(app core.App, settings func() *config.Settings) {
	app.OnServe().Bind(&hook.Handler[*core.ServeEvent]{
		Id: "picoRestrictRedirects",
		Func: func(e *core.ServeEvent) error {
			e.Router.Bind(restrictRedirects(settings))
			return e.Next()
		},
	})
}

func restrictRedirects(settings func() *config.Settings) *hook.Handler[*core.RequestEvent] {
	return &hook.Handler[*core.RequestEvent]{
		Id:       "picoRestrictRedirects",
		Priority: apis.DefaultBodyLimitMiddlewarePriority + 1, // it reads the body
		Func: func(e *core.RequestEvent) error {
			if e.Request.Pattern != oauth2Pattern {
				return e.Next()
			}
			allowed := settings().Auth.RedirectURLs
			if len(allowed) == 0 {
				return e.Next()
			}
			raw, err := redirectURL(e)
			if err != nil {
				return err
			}
			if target, ok := normalize(raw); ok && (isListed(target, allowed) || isOwnPopup(e, target)) {
				return e.Next()
			}
			return httpapi.Error(notAllowed(raw))
		},
	}
}

// redirectForm is the part that matters here of PocketBase's form for OAuth2
// sign-ins, with the same tags, so that both read the same value from any body.
type redirectForm struct {
	RedirectURL string `form:"redirectURL" json:"redirectURL"`
	RedirectUrl string `form:"redirectUrl" json:"redirectUrl"` //nolint:revive,staticcheck,nolintlint // PocketBase's name, which counts in XML
}

// redirectURL returns the URL that PocketBase is going to use.
func redirectURL(e *core.RequestEvent) (string, error) {
	var form redirectForm
	if err := e.BindBody(&form); err != nil {
		return "", e.BadRequestError("An error occurred while loading the submitted data.", err)
	}
	// From here on the body is what was just read. An XML document followed by a
	// second one would else show PocketBase another URL than this rule.
	if body, ok := e.Request.Body.(router.Rereader); ok {
		body.Reread()
	}
	if form.RedirectURL == "" {
		return form.RedirectUrl, nil
	}
	return form.RedirectURL, nil
}

// isOwnPopup reports whether target is the page of this server that PocketBase's
// clients use for sign-in in a popup, under the URL in its settings or the host
// that the request was sent to.
func isOwnPopup(e *core.RequestEvent, target string) bool {
	const path = "/api/oauth2-redirect"
	if base, err := url.JoinPath(e.App.Settings().Meta.AppURL, path); err == nil && isListed(target, []string{base}) {
		return true
	}
	// The scheme is not known here: a proxy may have ended TLS.
	return isListed(target, []string{"https://" + e.Request.Host + path, "http://" + e.Request.Host + path})
}

func notAllowed(raw string) *apierr.Error {
	if raw == "" {
		return ErrRedirectNotAllowed.WithMessage("The sign-in has no redirectURL; it must be one of the setting auth.redirectURLs.")
	}
	const longest = 300
	if len(raw) > longest {
		raw = raw[:longest] + "…"
	}
	return ErrRedirectNotAllowed.WithMessage(fmt.Sprintf(
		"The redirect URL %q is not in the setting auth.redirectURLs; add it there or use one that is.", raw))
}
