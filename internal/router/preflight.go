package router

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/routes"
)

// A preflight of a sleeping project is answered by the router, which does not know
// whom the project allows. So the answer says yes to everybody, without
// credentials, for this one time; and a request that needed it is not forwarded
// before the project itself has allowed its origin.
const (
	corsMethods = "GET, HEAD, PUT, PATCH, POST, DELETE"
	corsExposed = "Retry-After, X-PicoBase-Forwarded, X-Request-Id"

	// doubt is how long after a wake, or a preflight that this router answered, the
	// project is asked. Browsers send the request right after its preflight, maybe to
	// another router, which has seen the project wake.
	doubt = 30 * time.Second
)

// allowOrigin lets the page of any origin read what the router itself answers,
// which has nothing of the project in it.
func allowOrigin(header http.Header, req *http.Request) bool {
	header.Add("Vary", "Origin")
	origin := req.Header.Get("Origin")
	if origin == "" {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin)
	return true
}

// answerPreflight answers in the place of a project that sleeps.
func answerPreflight(w http.ResponseWriter, req *http.Request) {
	header := w.Header()
	if allowOrigin(header, req) {
		header.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
		header.Set("Access-Control-Allow-Methods", corsMethods)
		if requested := req.Header.Get("Access-Control-Request-Headers"); requested != "" {
			header.Set("Access-Control-Allow-Headers", requested)
		}
		header.Set("Access-Control-Max-Age", "0")
	}
	w.WriteHeader(http.StatusNoContent)
}

// mustAsk reports whether a preflight of the request may have been answered by a
// router.
func (x *exchange) mustAsk(at *place) bool {
	if x.router.cfg.Waker == nil || x.allowed || x.in.Header.Get("Origin") == "" || x.in.Method == http.MethodOptions {
		return false
	}
	recent := !at.woke.IsZero() && x.began.Sub(at.woke) < doubt ||
		x.began.UnixNano()-x.traffic.preflight.Load() < int64(doubt)
	return recent && needsPreflight(x.in)
}

// ask sends the preflight to the project.
func (x *exchange) ask(ctx context.Context, out *http.Request, at *place) error {
	preflight := out.Clone(ctx)
	preflight.Method = http.MethodOptions
	preflight.Body, preflight.GetBody, preflight.ContentLength = nil, nil, 0
	preflight.Header = http.Header{
		"Origin":                        {x.in.Header.Get("Origin")},
		"Access-Control-Request-Method": {x.in.Method},
		headerRequestID:                 {x.id},
		"X-Forwarded-For":               out.Header["X-Forwarded-For"],
		"X-Forwarded-Host":              out.Header["X-Forwarded-Host"],
		"X-Forwarded-Proto":             out.Header["X-Forwarded-Proto"],
		"User-Agent":                    {""},
	}
	if names := unsafeHeaders(x.in.Header); len(names) > 0 {
		preflight.Header.Set("Access-Control-Request-Headers", strings.Join(names, ","))
	}
	res, err := x.router.transport.RoundTrip(to(preflight, at))
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if notForwarded(res) {
		return errDraining
	}
	allowed := res.Header.Get("Access-Control-Allow-Origin")
	if res.StatusCode/100 != 2 || (allowed != "*" && allowed != x.in.Header.Get("Origin")) {
		return errOrigin
	}
	x.allowed = true
	return nil
}

// needsPreflight reports whether a browser sends the request to another origin
// only after it has asked.
func needsPreflight(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		return len(unsafeHeaders(req.Header)) > 0
	}
	return true
}

// free are headers that browsers send without asking.
var free = map[string]bool{
	"Accept": true, "Accept-Charset": true, "Accept-Encoding": true, "Accept-Language": true, "Cache-Control": true, "Connection": true,
	"Content-Language": true, "Content-Length": true, "Cookie": true, "Date": true, "Dnt": true, "Expect": true, "If-Modified-Since": true,
	"If-None-Match": true, "Keep-Alive": true, "Origin": true, "Pragma": true, "Priority": true, "Range": true, "Referer": true,
	"Save-Data": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Upgrade-Insecure-Requests": true,
	"User-Agent": true, "Via": true, headerRequestID: true, routes.HeaderProject: true,
}

// unsafeHeaders returns the headers that are sent only after a preflight, as it
// names them: in lower case, sorted.
func unsafeHeaders(header http.Header) (names []string) {
	for name, values := range header {
		switch {
		case free[name], strings.HasPrefix(name, "Sec-"), strings.HasPrefix(name, "Proxy-"), slices.Contains(claims, name):
		case name == "Content-Type" && len(values) == 1 && isFormType(values[0]):
		default:
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)
	return names
}

func isFormType(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "application/x-www-form-urlencoded", "multipart/form-data", "text/plain":
		return true
	}
	return false
}
