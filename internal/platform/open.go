package platform

import (
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/routes"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

//go:embed page.html
var page []byte

//go:embed page.js
var pageScript []byte

//go:embed openapi.json
var openapiSource []byte

const devicePath = "/device"

func openapiDocument(version string) ([]byte, error) {
	var document map[string]any
	if err := json.Unmarshal(openapiSource, &document); err != nil {
		return nil, fmt.Errorf("openapi.json: %w", err)
	}
	document["info"].(map[string]any)["version"] = version
	return json.Marshal(document)
}

// bindOpen binds what needs no person: keys, pages, logins, and the routers' side.
func (p *Platform) bindOpen(r *router.Router[*core.RequestEvent]) {
	jwks := func(e *core.RequestEvent) error {
		e.Response.Header().Set("Cache-Control", "public, max-age=300")
		return e.JSON(http.StatusOK, p.key.JWKS())
	}
	r.GET("/.well-known/jwks.json", jwks)
	r.GET(PathPrefix+"/.well-known/jwks.json", jwks)
	r.GET(PathPrefix+"/openapi.json", func(e *core.RequestEvent) error {
		return e.Blob(http.StatusOK, "application/json", p.openapi)
	})
	show := func(e *core.RequestEvent) error {
		e.Response.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
		e.Response.Header().Set("Referrer-Policy", "no-referrer")
		return e.Blob(http.StatusOK, "text/html; charset=utf-8", page)
	}
	r.GET(devicePath, show)
	r.GET("/invitation", show)
	r.GET("/device.js", func(e *core.RequestEvent) error {
		return e.Blob(http.StatusOK, "text/javascript; charset=utf-8", pageScript)
	})
	r.POST(PathPrefix+"/device/code", p.startDevice)
	r.POST(PathPrefix+"/device/token", p.pollDevice)
	r.POST(PathPrefix+"/invitations/accept", p.accept)

	g := r.Group(routes.Path)
	g.Bind(&hook.Handler[*core.RequestEvent]{Id: "picoPlatformRouter", Func: p.requireRouter})
	g.GET("", p.streamRoutes).Bind(apis.SkipSuccessActivityLog())
	g.POST("/{project}/wake", p.wakeForRouter).Bind(apis.SkipSuccessActivityLog())
	g.POST("/activity", p.takeActivity).Bind(apis.SkipSuccessActivityLog())
}

func (p *Platform) requireRouter(e *core.RequestEvent) error {
	want := p.cfg.RouterToken.Reveal()
	if want == "" || subtle.ConstantTimeCompare([]byte(bearer(e.Request)), []byte(want)) != 1 {
		return httpapi.Error(errRouterToken)
	}
	return e.Next()
}

// streamRoutes is the feed of a router elsewhere.
func (p *Platform) streamRoutes(e *core.RequestEvent) error {
	header := e.Response.Header()
	header.Set("Content-Type", "application/x-ndjson")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	controller := http.NewResponseController(e.Response)
	_ = controller.SetReadDeadline(time.Time{})
	e.Response.WriteHeader(http.StatusOK)
	encoder := json.NewEncoder(e.Response)
	whole := false
	_ = p.routes.Follow(e.Request.Context(), func(m routes.Message) error {
		_ = controller.SetWriteDeadline(time.Now().Add(routes.PingInterval))
		if err := encoder.Encode(m); err != nil {
			return err
		}
		if whole = whole || m.Op == routes.End; !whole {
			return nil // the table goes out in as few packets as it fits in
		}
		return controller.Flush()
	}) // the router is gone, or we are; it connects again
	return nil
}

func (p *Platform) wakeForRouter(e *core.RequestEvent) error {
	route, err := p.Wake(e.Request.Context(), e.Request.PathValue("project"))
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, route)
}

func (p *Platform) takeActivity(e *core.RequestEvent) error {
	var activity routes.Activity
	if err := httpapi.Decode(e, &activity); err != nil {
		return err
	}
	p.Used(activity)
	return e.NoContent(http.StatusNoContent)
}
