package webhooks

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/picobase/picobase/internal/event"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

const table = migrations.WebhookDeliveriesTable

// The statuses of a delivery.
const (
	statusPending   = "pending"
	statusDelivered = "delivered"
	statusFailed    = "failed"
	statusSkipped   = "skipped" // of another project, see Adopt
)

// delivery is a row of the table: one event on its way to one endpoint.
type delivery struct {
	ID       string `db:"id"`
	Endpoint string `db:"endpoint"`
	Event    string `db:"event"`
	Type     string `db:"type"`
	Subject  string `db:"subject"`
	Body     string `db:"body"`
	Status   string `db:"status"`
	Created  int64  `db:"created"`
	Due      int64  `db:"due"`
	Finished int64  `db:"finished"`
	Attempts int    `db:"attempts"`
	Tries    string `db:"tries"`
	Response string `db:"response"`
}

// try is one attempt in the log of a delivery.
type try struct {
	At     time.Time `json:"at"`
	URL    string    `json:"url"`
	Status int       `json:"status"` // 0 without an answer
	MS     int64     `json:"ms"`
	Error  string    `json:"error"`
}

// maxTries bounds the log of a delivery that is retried by hand again and again.
const maxTries = 30

func (d *delivery) addTry(t try) {
	var tries []json.RawMessage
	_ = json.Unmarshal([]byte(d.Tries), &tries) // ours
	encoded, _ := json.Marshal(t)
	tries = append(tries, encoded)
	if len(tries) > maxTries {
		tries = tries[len(tries)-maxTries:]
	}
	joined, _ := json.Marshal(tries)
	d.Tries = string(joined)
}

// newDelivery returns the row of an event for an endpoint.
func newDelivery(ep *endpoint, e event.Event, body []byte, now time.Time) *delivery {
	return &delivery{
		ID:       "dlv_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", ""),
		Endpoint: ep.id, Event: e.ID, Type: e.Type, Subject: e.Subject, Body: string(body),
		Status: statusPending, Created: now.UnixMilli(), Due: now.UnixMilli(), Tries: "[]",
	}
}

func (d *delivery) insert(app core.App) error {
	_, err := app.NonconcurrentDB().Insert(table, dbx.Params{
		"id": d.ID, "endpoint": d.Endpoint, "event": d.Event, "type": d.Type, "subject": d.Subject, "body": d.Body,
		"status": d.Status, "created": d.Created, "due": d.Due, "finished": d.Finished,
		"attempts": d.Attempts, "tries": d.Tries, "response": d.Response,
	}).Execute()
	return err
}

// Wants reports whether an enabled endpoint subscribes to events of the type
// about records of the collection.
func (p *Plugin) Wants(eventType, collection string) bool {
	return p.endpoints.Load().wants(eventType, collection)
}

// Publish writes the event to the outbox, for each endpoint that wants it,
// within app's transaction if it is in one.
func (p *Plugin) Publish(app core.App, e event.Event) error {
	targets := p.endpoints.Load().targets(e.Type, e.Collection)
	if len(targets) == 0 {
		return nil
	}
	body, err := e.Body()
	if err != nil {
		return fmt.Errorf("webhooks: encode %s: %w", e.Type, err)
	}
	return app.RunInTransaction(func(tx core.App) error {
		now := p.cfg.Now()
		for _, ep := range targets {
			if err := newDelivery(ep, e, body, now).insert(tx); err != nil {
				return fmt.Errorf("webhooks: store %s: %w", e.Type, err)
			}
		}
		tx.TxInfo().OnComplete(func(txErr error) error {
			if txErr == nil {
				p.dispatch.wake()
			}
			return nil
		})
		return nil
	})
}

// settledAttempts is how often a delivery is tried before later events of its
// subject no longer wait for it: one that a receiver cannot stomach must not hold
// up a user's other events for days.
const settledAttempts = 3

// nextDue returns a due delivery of the endpoint, and not one of those in flight.
// While an earlier event of the same subject is pending, a later one waits.
func (p *Plugin) nextDue(endpointID string, now time.Time, flying []any) (*delivery, error) {
	query := p.inOrder("d.*", endpointID).
		AndWhere(dbx.NewExp("d.due <= {:now}", dbx.Params{"now": now.UnixMilli()}))
	if len(flying) > 0 {
		query.AndWhere(dbx.NotIn("d.id", flying...))
	}
	var found []*delivery
	if err := query.All(&found); err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// inOrder selects columns of the endpoint's first delivery whose turn it is, as
// soon as it is due.
func (p *Plugin) inOrder(columns, endpointID string) *dbx.SelectQuery {
	return p.app.ConcurrentDB().Select(columns).From(table+" d").
		Where(dbx.NewExp("d.endpoint = {:endpoint} AND d.status = 'pending'", dbx.Params{"endpoint": endpointID})).
		AndWhere(dbx.NewExp("(d.subject = '' OR NOT EXISTS (SELECT 1 FROM "+table+" e WHERE e.endpoint = d.endpoint"+
			" AND e.subject = d.subject AND e.status = 'pending' AND e.id < d.id AND e.attempts < {:settled}))",
			dbx.Params{"settled": settledAttempts})).
		OrderBy("d.due", "d.id").Limit(1)
}

// store writes how an attempt ended that was begun when attempts had been made,
// unless the row has been changed meanwhile by someone else: sent again from the
// beginning, skipped, dropped with its endpoint. It reports whether it did.
func (p *Plugin) store(d *delivery, attempts int) (bool, error) {
	result, err := p.app.NonconcurrentDB().Update(table, dbx.Params{
		"status": d.Status, "due": d.Due, "finished": d.Finished,
		"attempts": d.Attempts, "tries": d.Tries, "response": d.Response,
	}, dbx.HashExp{"id": d.ID, "status": statusPending, "attempts": attempts}).Execute()
	if err != nil {
		return false, err
	}
	changed, err := result.RowsAffected()
	return changed > 0, err
}
