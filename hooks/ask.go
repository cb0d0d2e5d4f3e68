package hooks

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/event"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/spf13/cast"
)

// Asker asks before something happens.
type Asker interface {
	// Wants reports whether anybody is to be asked. It must be cheap.
	Wants(eventType, collection string) bool

	// Ask returns nil if it may happen, and else the error to answer.
	Ask(ctx context.Context, e event.Event) error
}

// ErrNotAsked answers a sign-up that could not be asked about.
var ErrNotAsked = apierr.New(http.StatusForbidden, "denied_by_webhook",
	"This account cannot be created here, because a webhook must be asked before that.")

// askBudget bounds all questions of one request together.
const askBudget = 5 * time.Second

// outermost is before all handlers that may begin a transaction.
const outermost = -999

// AskBefore asks before somebody signs up or in. The writing connection is never
// held meanwhile: there is only one, and everybody would wait for the answer. Call
// it before the app serves.
func AskBefore(app core.App, asker Asker) {
	a := asking{asker}
	app.OnRecordCreateRequest().Bind(&hook.Handler[*core.RecordRequestEvent]{
		Id: "picoAskCreate", Priority: outermost, Func: a.create,
	})
	// Both of these create records in a transaction that they begin later.
	app.OnRecordAuthWithOAuth2Request().Bind(&hook.Handler[*core.RecordAuthWithOAuth2RequestEvent]{
		Id: "picoAskOAuth2", Priority: outermost, Func: a.oauth2,
	})
	app.OnBatchRequest().Bind(&hook.Handler[*core.BatchRequestEvent]{
		Id: "picoAskBatch", Priority: innermost, Func: a.batch,
	})
	app.OnRecordAuthRequest().Bind(&hook.Handler[*core.RecordAuthRequestEvent]{
		Id: "picoAskSignIn", Priority: outermost, Func: a.signIn,
	})
}

type asking struct{ asker Asker }

// answered counts, by collection, the sign-ups of a request that were allowed
// before its transaction began.
type answered map[string]int

const answeredKey = "picoAskAnswered"

func answeredOf(e *core.RequestEvent) answered {
	known, ok := e.Get(answeredKey).(answered)
	if !ok {
		known = answered{}
		e.Set(answeredKey, known)
	}
	return known
}

func (a asking) wants(eventType string, c *core.Collection) bool {
	return c != nil && c.IsAuth() && !c.System && a.asker.Wants(eventType, c.Name)
}

func (a asking) ask(ctx context.Context, eventType string, c *core.Collection, id string, data map[string]any) error {
	ctx, cancel := context.WithTimeout(ctx, askBudget)
	defer cancel()
	if err := a.asker.Ask(ctx, event.New(eventType, c.Name, id, data, time.Now())); err != nil {
		return httpapi.Failure(err)
	}
	return nil
}

func (a asking) create(e *core.RecordRequestEvent) error {
	if !a.wants(event.BeforeUserCreated, e.Collection) {
		return e.Next()
	}
	if known := answeredOf(e.RequestEvent); known[e.Collection.Name] > 0 {
		known[e.Collection.Name]--
		return e.Next()
	}
	if e.App.IsTransactional() {
		return httpapi.Error(ErrNotAsked)
	}
	data := map[string]any{"record": fields(e.Record)}
	if err := a.ask(e.Request.Context(), event.BeforeUserCreated, e.Collection, e.Record.Id, data); err != nil {
		return err
	}
	return e.Next()
}

func (a asking) oauth2(e *core.RecordAuthWithOAuth2RequestEvent) error {
	if e.Record != nil || !a.wants(event.BeforeUserCreated, e.Collection) {
		return e.Next()
	}
	draft := submitted(e.Collection, e.CreateData)
	if email := cast.ToString(draft[core.FieldNameEmail]); email == "" {
		draft[core.FieldNameEmail] = e.OAuth2User.Email
	}
	if name := e.Collection.OAuth2.MappedFields.Name; name != "" && draft[name] == nil {
		draft[name] = e.OAuth2User.Name
	}
	data := map[string]any{"record": draft, "provider": e.ProviderName}
	if err := a.ask(e.Request.Context(), event.BeforeUserCreated, e.Collection, "", data); err != nil {
		return err
	}
	answeredOf(e.RequestEvent)[e.Collection.Name]++
	return e.Next()
}

// batchPath is what creates a record inside of a batch.
var batchPath = regexp.MustCompile(`^/api/collections/([^/?]+)/records(?:\?.*)?$`)

func (a asking) batch(e *core.BatchRequestEvent) error {
	ctx, cancel := context.WithTimeout(e.Request.Context(), askBudget)
	defer cancel()
	for _, inner := range e.Batch {
		c := a.batchTarget(e.App, inner)
		if c == nil {
			continue
		}
		data := map[string]any{"record": submitted(c, inner.Body)}
		if err := a.ask(ctx, event.BeforeUserCreated, c, cast.ToString(inner.Body["id"]), data); err != nil {
			return err
		}
		answeredOf(e.RequestEvent)[c.Name]++
	}
	return e.Next()
}

// batchTarget returns the collection that an inner request signs somebody up in,
// or nil. What it misses is refused by create.
func (a asking) batchTarget(app core.App, inner *core.InternalRequest) *core.Collection {
	method := strings.ToUpper(inner.Method)
	match := batchPath.FindStringSubmatch(inner.URL)
	if match == nil || method != http.MethodPost && method != http.MethodPut {
		return nil
	}
	name, err := url.PathUnescape(match[1])
	if err != nil {
		return nil
	}
	c, err := app.FindCachedCollectionByNameOrId(name)
	if err != nil || !a.wants(event.BeforeUserCreated, c) {
		return nil
	}
	if id := cast.ToString(inner.Body["id"]); method == http.MethodPut && id != "" {
		if _, err := app.FindRecordById(c, id); err == nil {
			return nil // an update
		}
	}
	return c
}

// submitted returns what of the values that somebody sent for a record may be told.
func submitted(c *core.Collection, values map[string]any) map[string]any {
	told := map[string]any{}
	for _, field := range c.Fields {
		if _, isFile := field.(*core.FileField); isFile || !tells(c, field) {
			continue
		}
		if value, ok := values[field.GetName()]; ok {
			told[field.GetName()] = value
		}
	}
	return told
}

func (a asking) signIn(e *core.RecordAuthRequestEvent) error {
	if e.AuthMethod == "" || !a.wants(event.BeforeUserSignedIn, e.Collection) {
		return e.Next()
	}
	if e.App.IsTransactional() {
		return httpapi.Error(ErrNotAsked)
	}
	data := signInData(e)
	data["record"] = fields(e.Record)
	if err := a.ask(e.Request.Context(), event.BeforeUserSignedIn, e.Collection, e.Record.Id, data); err != nil {
		return err
	}
	return e.Next()
}
