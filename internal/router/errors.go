package router

import (
	"net/http"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/routes"
)

// What the router answers by itself. All but errUpstream say that the request was
// not forwarded; docs/errors.md lists them.
var (
	errNotFound = apierr.New(http.StatusNotFound, "project_not_found",
		"There is no project with this host name.")
	errStopped = apierr.New(http.StatusServiceUnavailable, "project_stopped",
		"This project is stopped.").WithRetryAfter(time.Minute)
	errUnavailable = apierr.New(http.StatusServiceUnavailable, "project_unavailable",
		"This project cannot start at the moment.").WithRetryAfter(time.Minute)
	errWaking = apierr.New(http.StatusServiceUnavailable, "waking",
		"The project is waking up. Send the request again in a moment.").WithRetryAfter(2 * time.Second)
	errBusy = apierr.New(http.StatusServiceUnavailable, "project_busy",
		"Too many requests to this project are open. Send the request again in a moment.").WithRetryAfter(time.Second)
	errRouterBusy = apierr.New(http.StatusServiceUnavailable, "router_busy",
		"Too many requests are open. Send the request again in a moment.").WithRetryAfter(time.Second)
	errUpstream = apierr.New(http.StatusBadGateway, "upstream_failed",
		"The project did not answer. The request may have been handled or not.")
	errUnreachable = apierr.New(http.StatusBadGateway, "upstream_failed",
		"The project cannot be reached. The request was not handled.")
	errMethod = apierr.New(http.StatusMethodNotAllowed, "method_not_allowed",
		"CONNECT is for proxies, which this is not.")
	errSlowBody = apierr.New(http.StatusRequestTimeout, "request_timeout",
		"The body of the request came too slowly.")
	errBodyBroken = apierr.New(http.StatusBadRequest, "bad_request",
		"The body of the request is broken.")
	errOrigin = apierr.New(http.StatusForbidden, "origin_not_allowed",
		"The project does not allow requests from this origin.")
)

// refusal is what clients of a project are told that is not to be reached.
func (p *place) refusal() *apierr.Error {
	err := errNotFound
	switch p.state {
	case routes.Off:
		err = errStopped
	case routes.Parked:
		err = errUnavailable
	}
	if p.message != "" {
		err = err.WithMessage(p.message)
	}
	return err
}
