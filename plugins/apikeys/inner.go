package apikeys

import (
	"net/http"
	"net/url"
	"regexp"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// bindInnerRequests checks what is inside of a batch: its inner requests pass no
// middleware.
func (p *Plugin) bindInnerRequests() {
	p.app.OnBatchRequest().Bind(&hook.Handler[*core.BatchRequestEvent]{
		Id: "picoKeysBatch",
		Func: func(e *core.BatchRequestEvent) error {
			for _, inner := range e.Batch {
				dropKeyHeaders(inner.Headers)
				if key := actingKey(e.RequestEvent); key != nil {
					if err := checkInner(e.App, key, inner); err != nil {
						return p.refuse(err)
					}
				}
			}
			return e.Next()
		},
	})
}

// actingKey returns the secret key whose power the request uses, or nil.
func actingKey(e *core.RequestEvent) *httpapi.Key {
	if s := httpapi.StateOf(e); s.KeyActs {
		return s.Key
	}
	return nil
}

func dropKeyHeaders(headers map[string]string) {
	for name := range headers {
		if http.CanonicalHeaderKey(name) == headerAPIKey {
			delete(headers, name)
		}
	}
}

// innerPath is what PocketBase accepts inside of a batch.
var innerPath = regexp.MustCompile(`^/api/collections/([^/?]+)/records(?:/[^/?]+)?(?:\?(.*))?$`)

func checkInner(app core.App, key *httpapi.Key, inner *core.InternalRequest) *apierr.Error {
	match := innerPath.FindStringSubmatch(inner.URL)
	if match == nil {
		return ErrNotAllowed.WithMessage("A batch with an API key can only create, update, upsert and delete records.")
	}
	query, err := url.ParseQuery(match[2])
	if err != nil {
		return ErrNotAllowed.WithMessage("The query of an inner request is malformed.").WithCause(err)
	}
	return checkRecords(app, key, scope.RecordsWrite, match[1], query)
}
