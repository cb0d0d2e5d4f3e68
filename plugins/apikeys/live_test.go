package apikeys

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/types"
)

const patience = 10 * time.Second

// stream opens a realtime connection and returns its client id, its events and
// a channel that is closed when the server ends it.
func (f *fixture) stream() (clientID string, events <-chan string, ended <-chan struct{}) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/api/realtime", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		f.t.Fatalf("connect: %v %v", response, err)
	}
	out, done := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(done)
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
				out <- data
			}
		}
	}()
	var hello struct {
		ClientID string `json:"clientId"`
	}
	if err := json.Unmarshal([]byte(<-out), &hello); err != nil {
		f.t.Fatal(err)
	}
	return hello.ClientID, out, done
}

func (f *fixture) subscribe(clientID, key string, topics ...string) answer {
	f.t.Helper()
	return f.do(call{method: "POST", path: "/api/realtime", key: key, body: map[string]any{"clientId": clientID, "subscriptions": topics}})
}

func waitFor(t *testing.T, what string, ended <-chan struct{}) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal(what + " did not happen in time")
	}
}

func TestRealtimeScopes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.secret("records:read:posts")
	id, events, _ := f.stream()
	for topic, want := range map[string]string{
		"posts/*":            "",
		"posts":              "",
		"posts/" + f.post.Id: "",
		"an-apps-own-topic":  "",
		"comments/*":         "api_key_scope_required",
		"_superusers/*":      "api_key_not_allowed",
		`posts/*?options={"query":{"expand":"author"}}`:                                   "api_key_scope_required",
		`posts/*?options=%7B%22query%22%3A%7B%22filter%22%3A%22author.email~'a'%22%7D%7D`: "api_key_scope_required",
	} {
		if got := f.subscribe(id, key, topic); got.code != want {
			t.Errorf("subscribe %s: %d %s, want %q", topic, got.status, got.raw, want)
		}
	}
	if got := f.subscribe(id, key, "posts/*"); got.status != 204 {
		t.Fatalf("subscribe: %s", got.raw)
	}
	f.do(call{method: "PATCH", path: listPosts + "/" + f.post.Id, token: f.superuser, body: map[string]any{"title": "changed"}})
	select {
	case event := <-events:
		if !strings.Contains(event, `"changed"`) {
			t.Errorf("event %s", event)
		}
	case <-time.After(patience):
		t.Error("no event for a locked collection with a secret key")
	}
}

func TestRevocationEndsStreams(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.openRules()
	for _, kind := range []Kind{Publishable, Secret} {
		raw, id := f.key(createInput{Kind: kind})
		other, _ := f.key(createInput{Kind: kind})
		client, _, ended := f.stream()
		otherClient, _, otherEnded := f.stream()
		for c, key := range map[string]string{client: raw, otherClient: other} {
			if got := f.subscribe(c, key, "posts/*"); got.status != 204 {
				t.Fatalf("subscribe: %d %s", got.status, got.raw)
			}
		}
		if got := f.do(call{method: "DELETE", path: "/api/v1/keys/" + id, token: f.superuser}); got.status != 200 {
			t.Fatalf("revoke: %s", got.raw)
		}
		waitFor(t, "the end of the revoked key's stream", ended)
		select {
		case <-otherEnded:
			t.Errorf("the stream of another %s key ended too", kind)
		default:
		}
	}
}

func TestExpiryEndsStreams(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.openRules()
	soon := time.Now().Add(1200 * time.Millisecond)
	raw, _ := f.key(createInput{Kind: Publishable, Expires: &soon})
	client, _, ended := f.stream()
	if got := f.subscribe(client, raw, "posts/*"); got.status != 204 {
		t.Fatalf("subscribe: %d %s", got.status, got.raw)
	}
	if err := f.plugin.Start(); err != nil {
		t.Fatal(err)
	}
	defer f.plugin.Stop(context.Background())
	waitFor(t, "the end of the expired key's stream", ended)
}

// The command line makes keys in a process of its own.
func TestForeignChangesAreSeen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	raw, id := f.key(createInput{Kind: Publishable})
	if err := f.plugin.Start(); err != nil {
		t.Fatal(err)
	}
	defer f.plugin.Stop(context.Background())
	// Past all hooks, as another process's write is.
	revoked := types.NowDateTime()
	_, err := f.app.NonconcurrentDB().Update(migrations.KeysCollection,
		dbx.Params{"revoked": revoked, "updated": revoked.Add(time.Second)}, dbx.HashExp{"id": id}).Execute()
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for f.do(call{method: "GET", path: "/api/health", key: raw}).code != "api_key_revoked" {
		if time.Now().After(deadline) {
			t.Fatal("another process's change was not seen")
		}
	}
}

// next returns the next event, which must hold want.
func (f *fixture) next(events <-chan string, want string) {
	f.t.Helper()
	select {
	case event := <-events:
		if !strings.Contains(event, want) {
			f.t.Errorf("got the event %s, want one with %q", event, want)
		}
	case <-time.After(patience):
		f.t.Errorf("no event with %q", want)
	}
}

// What a stream is sent follows the scopes and the collections of the moment,
// not those of its subscription.
func TestMessagesFollowScopes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	raw, keyID := f.key(createInput{Kind: Secret, Scopes: []string{"records:read:posts", "records:read:comments"}})
	client, events, _ := f.stream()
	if got := f.subscribe(client, raw, "posts/*", "comments/*", "later/*"); got.status != 204 {
		t.Fatalf("subscribe: %s", got.raw)
	}
	write := func(collection, field, value string) {
		t.Helper()
		got := f.do(call{method: "POST", path: "/api/collections/" + collection + "/records", token: f.superuser, body: map[string]any{field: value}})
		if got.status != 200 {
			t.Fatalf("write to %s: %s", collection, got.raw)
		}
	}
	later := core.NewBaseCollection("later")
	later.Fields.Add(&core.TextField{Name: "text"})
	f.save(later)
	write("later", "text", "not for this key")
	write("comments", "text", "still allowed")
	f.next(events, "still allowed")

	if got := f.do(call{method: "PATCH", path: "/api/v1/keys/" + keyID, token: f.superuser, body: map[string]any{"scopes": []string{"records:read:posts"}}}); got.status != 200 {
		t.Fatalf("update: %s", got.raw)
	}
	write("comments", "text", "no longer allowed")
	write("posts", "title", "the last")
	f.next(events, "the last")
}

// PocketBase sets the identity and the topics of a client in two steps. Without
// a lock, a request without power can leave its topics to one with power.
func TestSubscriptionsAreNotMixed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	arrived, entered, release := make(chan struct{}, 2), make(chan struct{}, 2), make(chan struct{})
	bind := func(priority int, visit func()) {
		f.app.OnRealtimeSubscribeRequest().Bind(&hook.Handler[*core.RealtimeSubscribeRequestEvent]{
			Priority: priority,
			Func: func(e *core.RealtimeSubscribeRequestEvent) error {
				visit()
				return e.Next()
			},
		})
	}
	bind(-1, func() { arrived <- struct{}{} })
	bind(1, func() { entered <- struct{}{}; <-release })

	client, _, _ := f.stream()
	key := f.secret("records:read:posts")
	var requests sync.WaitGroup
	for range 2 {
		requests.Go(func() { f.subscribe(client, key, "posts/*") })
	}
	<-arrived
	<-arrived
	<-entered
	select {
	case <-entered:
		t.Error("two subscriptions of one client changed it at the same time")
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	requests.Wait()
}

// Streams of our own ask again whether their key may do what it did at first.
func TestStillAllows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	raw, id := f.key(createInput{Kind: Secret, Scopes: []string{"logs", "usage"}})
	still := func() bool {
		e := &core.RequestEvent{App: f.app}
		e.Request = httptest.NewRequest(http.MethodGet, "/", nil)
		key := f.plugin.keys.Load().byID[id].identity
		httpapi.StateOf(e).Key = &key
		return f.plugin.StillAllows(e, scope.Logs)
	}
	change := func(body map[string]any) {
		t.Helper()
		if got := f.do(call{method: "PATCH", path: "/api/v1/keys/" + id, token: f.superuser, body: body}); got.status != 200 {
			t.Fatal(got.raw)
		}
	}
	if !still() {
		t.Error("a key as it was is refused")
	}
	change(map[string]any{"scopes": []string{"usage"}})
	if still() {
		t.Error("a key without the scope is allowed")
	}
	change(map[string]any{"scopes": []string{"logs"}, "allowedIPs": []string{"203.0.113.1"}})
	if still() {
		t.Error("a key of another address is allowed")
	}
	change(map[string]any{"allowedIPs": []string{}})
	f.do(call{method: "DELETE", path: "/api/v1/keys/" + id, token: f.superuser})
	if still() {
		t.Errorf("the revoked key %s… is allowed", raw[:10])
	}
}
