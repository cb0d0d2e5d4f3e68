package webhooks

import (
	"database/sql"
	"errors"
	"net/http"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/event"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// The errors of the API.
var (
	ErrNotFound         = apierr.New(http.StatusNotFound, "webhook_not_found", "There is no webhook with this id.")
	ErrDeliveryNotFound = apierr.New(http.StatusNotFound, "delivery_not_found", "There is no delivery with this id.")
	ErrTooMany          = apierr.New(http.StatusConflict, "webhook_limit_reached", "A project has at most 50 webhooks; delete one first.")
)

// bindAPI binds /api/v1/webhooks.
func (p *Plugin) bindAPI(r *router.Router[*core.RequestEvent]) {
	g := r.Group(httpapi.PathPrefix + "/webhooks")
	g.Bind(httpapi.Require(scope.Webhooks))
	g.GET("", p.list)
	g.POST("", p.create)
	g.GET("/deliveries", p.listDeliveries)
	g.POST("/deliveries/retry", p.retryAll)
	g.GET("/deliveries/{id}", p.getDelivery)
	g.POST("/deliveries/{id}/retry", p.retryOne)
	g.GET("/{id}", p.get)
	g.PATCH("/{id}", p.update)
	g.DELETE("/{id}", p.delete)
	g.POST("/{id}/test", p.test)
	g.POST("/{id}/rotate-secret", p.rotate)
}

// Webhook is an endpoint as the API shows it.
type Webhook struct {
	ID string `json:"id"`

	// Secret is present only in the answers that make it.
	Secret string `json:"secret,omitempty"`

	URL                 string   `json:"url"`
	Description         string   `json:"description"`
	Events              []string `json:"events"`
	Blocking            bool     `json:"blocking"`
	FailOpen            bool     `json:"failOpen"`
	Enabled             bool     `json:"enabled"`
	Disabled            *string  `json:"disabled"`
	DisabledReason      string   `json:"disabledReason"`
	PreviousSecretUntil *string  `json:"previousSecretUntil"`
	CreatedBy           string   `json:"createdBy"`
	Created             string   `json:"created"`
	Updated             string   `json:"updated"`
}

const timeFormat = "2006-01-02T15:04:05.000Z"

func (p *Plugin) view(record *core.Record, secret string) Webhook {
	ep := p.endpointOf(record)
	w := Webhook{
		ID: record.Id, Secret: secret, URL: ep.url, Description: record.GetString("description"),
		Events: append([]string{}, ep.events...), Blocking: ep.blocking, FailOpen: ep.failOpen,
		Enabled: ep.disabled.IsZero(), Disabled: formatTime(ep.disabled), DisabledReason: ep.disabledReason,
		CreatedBy: record.GetString("createdBy"),
		Created:   record.GetDateTime("created").Time().UTC().Format(timeFormat),
		Updated:   record.GetDateTime("updated").Time().UTC().Format(timeFormat),
	}
	if ep.previous != "" && p.cfg.Now().Before(ep.previousUntil) {
		w.PreviousSecretUntil = formatTime(ep.previousUntil)
	}
	return w
}

func formatTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(timeFormat)
	return &text
}

func formatMillis(ms int64) *string {
	if ms == 0 {
		return nil
	}
	return formatTime(time.UnixMilli(ms))
}

func (p *Plugin) list(e *core.RequestEvent) error {
	var records []*core.Record
	if err := e.App.RecordQuery(migrations.WebhooksCollection).OrderBy("created DESC", "id").All(&records); err != nil {
		return httpapi.Failure(err)
	}
	items := make([]Webhook, 0, len(records))
	for _, record := range records {
		items = append(items, p.view(record, ""))
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items, "totalItems": len(items)})
}

func (p *Plugin) get(e *core.RequestEvent) error {
	record, err := p.find(e)
	if err != nil {
		return err
	}
	return e.JSON(http.StatusOK, p.view(record, ""))
}

func (p *Plugin) find(e *core.RequestEvent) (*core.Record, error) {
	record, err := e.App.FindRecordById(migrations.WebhooksCollection, e.Request.PathValue("id"))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, httpapi.Error(ErrNotFound)
	}
	if err != nil {
		return nil, httpapi.Failure(err)
	}
	return record, nil
}

func (p *Plugin) create(e *core.RequestEvent) error {
	var in createInput
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	collection, err := e.App.FindCachedCollectionByNameOrId(migrations.WebhooksCollection)
	if err != nil {
		return httpapi.Failure(err)
	}
	record := core.NewRecord(collection)
	if err := in.apply(record); err != nil {
		return httpapi.Error(err)
	}
	caller := httpapi.CallerOf(e)
	secret := newSecret()
	sealed, err := p.seal(secret)
	if err != nil {
		return httpapi.Failure(err)
	}
	record.Set("secret", sealed)
	record.Set("createdBy", string(caller.Kind)+":"+caller.Name)
	err = p.cfg.Transact(e, func(tx core.App) error {
		if total, err := tx.CountRecords(collection); err != nil || total >= maxEndpoints {
			return errors.Join(err, ErrTooMany)
		}
		return tx.Save(record)
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusCreated, p.view(record, secret))
}

func (p *Plugin) update(e *core.RequestEvent) error {
	var in updateInput
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	record, err := p.find(e)
	if err != nil {
		return err
	}
	if err := in.apply(record, p.cfg.Now()); err != nil {
		return httpapi.Error(err)
	}
	if err := p.cfg.Transact(e, func(tx core.App) error { return tx.Save(record) }); err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, p.view(record, ""))
}

// delete deletes an endpoint. Its deliveries go with the next upkeep, bit by bit.
func (p *Plugin) delete(e *core.RequestEvent) error {
	record, err := p.find(e)
	if err != nil {
		return err
	}
	if err := p.cfg.Transact(e, func(tx core.App) error { return tx.Delete(record) }); err != nil {
		return httpapi.Failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}

// rotate makes a new secret; the old one signs too while the grace time lasts.
func (p *Plugin) rotate(e *core.RequestEvent) error {
	in := rotateInput{}
	if e.Request.ContentLength != 0 {
		if err := httpapi.Decode(e, &in); err != nil {
			return err
		}
	}
	grace, invalid := in.grace(p.cfg.Settings().Webhooks.RotationGraceHours)
	if invalid != nil {
		return httpapi.Error(invalid)
	}
	record, err := p.find(e)
	if err != nil {
		return err
	}
	secret := newSecret()
	sealed, err := p.seal(secret)
	if err != nil {
		return httpapi.Failure(err)
	}
	record.Set("previousSecret", "")
	record.Set("previousSecretUntil", nil)
	if grace > 0 {
		record.Set("previousSecret", record.GetString("secret"))
		record.Set("previousSecretUntil", p.cfg.Now().Add(grace))
	}
	record.Set("secret", sealed)
	if err := p.cfg.Transact(e, func(tx core.App) error { return tx.Save(record) }); err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, p.view(record, secret))
}

// testSubject marks deliveries that are tests.
const testSubject = "test"

// test sends a sample and answers with its outcome. It is made at once, also to
// a disabled endpoint, and not retried.
func (p *Plugin) test(e *core.RequestEvent) error {
	var in testInput
	if e.Request.ContentLength != 0 {
		if err := httpapi.Decode(e, &in); err != nil {
			return err
		}
	}
	record, err := p.find(e)
	if err != nil {
		return err
	}
	ep := p.endpointOf(record)
	eventType, invalid := in.eventType(ep)
	if invalid != nil {
		return httpapi.Error(invalid)
	}
	sample := event.New(eventType, "users", "sample", map[string]any{
		"test":   true,
		"record": map[string]any{"id": "sample", "email": "ann@example.com", "name": "Ann Example", "verified": true},
	}, p.cfg.Now())
	sample.Subject = testSubject
	body, err := sample.Body()
	if err != nil {
		return httpapi.Failure(err)
	}
	d := newDelivery(ep, sample, body, p.cfg.Now())
	r := p.send(e.Request.Context(), ep, d)
	d.addTry(try{At: r.at.UTC(), URL: ep.url, Status: r.status, MS: r.took.Milliseconds(), Error: r.problem()})
	d.Attempts, d.Response, d.Finished, d.Status = 1, r.body, p.cfg.Now().UnixMilli(), statusFailed
	if r.ok() {
		d.Status = statusDelivered
	}
	if err := d.insert(e.App); err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, d.detail())
}
