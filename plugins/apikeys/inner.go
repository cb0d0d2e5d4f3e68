package apikeys

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/spf13/cast"
)

// bindInnerRequests checks what is inside of requests that stand for many: a
// batch's inner requests pass no middleware, a realtime subscription names
// collections in its body.
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
	p.app.OnRealtimeSubscribeRequest().Bind(&hook.Handler[*core.RealtimeSubscribeRequestEvent]{
		Id: "picoKeysSubscribe",
		Func: func(e *core.RealtimeSubscribeRequestEvent) error {
			if key := actingKey(e.RequestEvent); key != nil {
				for _, topic := range e.Subscriptions {
					if err := checkTopic(e.App, key, topic); err != nil {
						return p.refuse(err)
					}
				}
			}
			// Remembered for publishable keys too: the stream ends with its key.
			keyID := ""
			if key := httpapi.StateOf(e.RequestEvent).Key; key != nil {
				keyID = key.ID
			}
			e.Client.Set(streamKey, keyID)
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

// checkTopic checks a subscription: posts, posts/*, posts/ID, each with
// ?options={"query":{…}}. Topics that name no collection are an app's own.
func checkTopic(app core.App, key *httpapi.Key, topic string) *apierr.Error {
	path, rawQuery, _ := strings.Cut(topic, "?")
	name, _, _ := strings.Cut(path, "/")
	if _, err := app.FindCachedCollectionByNameOrId(name); err != nil {
		return nil
	}
	// PocketBase reads the options the same way, and like it a broken query is no query.
	var options struct {
		Query map[string]any `json:"query"`
	}
	parsed, _ := url.ParseQuery(rawQuery)
	_ = json.Unmarshal([]byte(parsed.Get("options")), &options)
	query := url.Values{}
	for name, value := range options.Query {
		query.Set(name, cast.ToString(value))
	}
	return checkRecords(app, key, scope.RecordsRead, name, query)
}
