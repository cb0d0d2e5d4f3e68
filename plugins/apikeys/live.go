package apikeys

import (
	"encoding/json"
	"net/url"
	"strings"
	"sync"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/spf13/cast"
)

// What a realtime client remembers.
const (
	streamKey     = "picoKeyID"   // the id of the key that it subscribed with
	streamKeyActs = "picoKeyActs" // whether that key's power decides what it is sent
	streamLock    = "picoKeyLock" // held while its subscriptions change
)

// bindRealtime checks the collections that a subscription names in its body, and
// again those that messages are about: a topic may come to name a collection
// later, and a key may lose scopes.
func (p *Plugin) bindRealtime() {
	p.app.OnRealtimeConnectRequest().Bind(&hook.Handler[*core.RealtimeConnectRequestEvent]{
		Id: "picoKeysConnect",
		Func: func(e *core.RealtimeConnectRequestEvent) error {
			e.Client.Set(streamLock, &sync.Mutex{})
			return e.Next()
		},
	})
	p.app.OnRealtimeSubscribeRequest().Bind(&hook.Handler[*core.RealtimeSubscribeRequestEvent]{
		Id:   "picoKeysSubscribe",
		Func: p.subscribe,
	})
	p.app.OnRealtimeMessageSend().Bind(&hook.Handler[*core.RealtimeMessageEvent]{
		Id: "picoKeysMessage",
		Func: func(e *core.RealtimeMessageEvent) error {
			if acts, _ := e.Client.Get(streamKeyActs).(bool); acts && !p.maySend(e) {
				return nil // not sent, and the stream goes on
			}
			return e.Next()
		},
	})
}

func (p *Plugin) subscribe(e *core.RealtimeSubscribeRequestEvent) error {
	acting := actingKey(e.RequestEvent)
	if acting != nil {
		for _, topic := range e.Subscriptions {
			if err := checkTopic(e.App, acting, topic); err != nil {
				return p.refuse(err)
			}
		}
	}
	// PocketBase sets the client's identity and its topics one after the other.
	// Of two requests at once, the power of one must not meet the topics of the other.
	if lock, ok := e.Client.Get(streamLock).(*sync.Mutex); ok {
		lock.Lock()
		defer lock.Unlock()
	}
	// Remembered for publishable keys too: the stream ends with its key.
	keyID := ""
	if key := httpapi.StateOf(e.RequestEvent).Key; key != nil {
		keyID = key.ID
	}
	e.Client.Set(streamKey, keyID)
	e.Client.Set(streamKeyActs, acting != nil)
	return e.Next()
}

// maySend reports whether the key that the client acts with may see the message.
func (p *Plugin) maySend(e *core.RealtimeMessageEvent) bool {
	id, _ := e.Client.Get(streamKey).(string)
	key := p.keys.Load().byID[id]
	if key == nil {
		return false
	}
	return key.identity.Scopes.Allows(scope.RecordsRead) || checkTopic(e.App, &key.identity, e.Message.Name) == nil
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
