package webhooks

import (
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/event"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

const (
	defaultPerPage = 50
	maxPerPage     = 500
)

// Delivery is a delivery as the API shows it.
type Delivery struct {
	ID       string  `json:"id"`
	Webhook  string  `json:"webhook"`
	Event    string  `json:"event"`
	Type     string  `json:"type"`
	Status   string  `json:"status"`
	Created  *string `json:"created"`
	Due      *string `json:"due"`      // when it is tried next; null unless pending
	Finished *string `json:"finished"` // null while pending
	Attempts int     `json:"attempts"`
	Last     *try    `json:"last"` // the last attempt
	Test     bool    `json:"test"`
}

// DeliveryDetail adds what was sent and answered.
type DeliveryDetail struct {
	Delivery
	Request  deliveryRequest `json:"request"`
	Response string          `json:"response"` // the beginning of the last answer
	Tries    []try           `json:"tries"`
}

type deliveryRequest struct {
	URL     string            `json:"url"` // of the last attempt
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func (d *delivery) log() (tries []try) {
	_ = json.Unmarshal([]byte(d.Tries), &tries) // ours
	return tries
}

func (d *delivery) view() Delivery {
	v := Delivery{
		ID: d.ID, Webhook: d.Endpoint, Event: d.Event, Type: d.Type, Status: d.Status,
		Created: formatMillis(d.Created), Finished: formatMillis(d.Finished), Attempts: d.Attempts, Test: d.Subject == testSubject,
	}
	if d.Status == statusPending {
		v.Due = formatMillis(d.Due)
	}
	if tries := d.log(); len(tries) > 0 {
		v.Last = &tries[len(tries)-1]
	}
	return v
}

func (d *delivery) detail() DeliveryDetail {
	detail := DeliveryDetail{Delivery: d.view(), Response: d.Response, Tries: append([]try{}, d.log()...)}
	detail.Request = deliveryRequest{
		Headers: map[string]string{"content-type": "application/json", "webhook-id": d.Event},
		Body:    json.RawMessage(d.Body),
	}
	if detail.Last != nil {
		detail.Request.URL = detail.Last.URL
		detail.Request.Headers["webhook-timestamp"] = strconv.FormatInt(detail.Last.At.Unix(), 10)
	}
	return detail
}

// deliveryQuery chooses deliveries.
type deliveryQuery struct {
	webhook, status, eventType string
	page, perPage              int
}

func parseDeliveryQuery(r *http.Request) (q deliveryQuery, err *apierr.Error) {
	q = deliveryQuery{page: 1, perPage: defaultPerPage}
	values, parseErr := url.ParseQuery(r.URL.RawQuery)
	if parseErr != nil {
		return q, apierr.New(http.StatusBadRequest, "invalid_query", "The query of the URL is malformed.").WithCause(parseErr)
	}
	for name := range values {
		value := values.Get(name)
		switch name {
		case "webhook":
			q.webhook = value
		case "status":
			q.status, err = value, checkStatus(value)
		case "type":
			q.eventType, err = value, checkType(value)
		case "page":
			q.page, err = parseNumber(name, value, 1_000_000)
		case "perPage":
			q.perPage, err = parseNumber(name, value, maxPerPage)
		default:
			err = apierr.Invalid(name, "is not a known parameter; there are webhook, status, type, page and perPage.")
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

func checkStatus(value string) *apierr.Error {
	if !slices.Contains([]string{statusPending, statusDelivered, statusFailed, statusSkipped}, value) {
		return apierr.Invalid("status", "must be pending, delivered, failed or skipped.")
	}
	return nil
}

func checkType(value string) *apierr.Error {
	if !slices.Contains(append(event.Types(), event.Questions()...), value) {
		return apierr.Invalid("type", "is no type of event.")
	}
	return nil
}

func parseNumber(name, value string, most int) (int, *apierr.Error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, apierr.Invalid(name, "must be a whole number from 1 to "+strconv.Itoa(most)+".")
	}
	return n, nil
}

func (q deliveryQuery) where() dbx.Expression {
	conditions := dbx.HashExp{}
	for column, value := range map[string]string{"endpoint": q.webhook, "status": q.status, "type": q.eventType} {
		if value != "" {
			conditions[column] = value
		}
	}
	return conditions
}

func (p *Plugin) listDeliveries(e *core.RequestEvent) error {
	q, invalid := parseDeliveryQuery(e.Request)
	if invalid != nil {
		return httpapi.Error(invalid)
	}
	db := e.App.ConcurrentDB()
	var total int
	if err := db.Select("COUNT(*)").From(table).Where(q.where()).Row(&total); err != nil {
		return httpapi.Failure(err)
	}
	var rows []*delivery
	err := db.Select("id", "endpoint", "event", "type", "subject", "status", "created", "due", "finished", "attempts", "tries").
		From(table).Where(q.where()).OrderBy("id DESC").
		Limit(int64(q.perPage)).Offset(int64(q.page-1) * int64(q.perPage)).All(&rows)
	if err != nil {
		return httpapi.Failure(err)
	}
	items := make([]Delivery, 0, len(rows))
	for _, row := range rows {
		items = append(items, row.view())
	}
	return e.JSON(http.StatusOK, map[string]any{
		"page": q.page, "perPage": q.perPage, "totalItems": total,
		"totalPages": (total + q.perPage - 1) / q.perPage, "items": items,
	})
}

func (p *Plugin) getDelivery(e *core.RequestEvent) error {
	row, err := p.findDelivery(e)
	if err != nil {
		return err
	}
	return e.JSON(http.StatusOK, row.detail())
}

func (p *Plugin) findDelivery(e *core.RequestEvent) (*delivery, error) {
	row := &delivery{}
	err := e.App.ConcurrentDB().Select("*").From(table).Where(dbx.HashExp{"id": e.Request.PathValue("id")}).One(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, httpapi.Error(ErrDeliveryNotFound)
	}
	if err != nil {
		return nil, httpapi.Failure(err)
	}
	return row, nil
}

// retryOne sends a delivery again, also one that arrived: the same event, with
// the same id, from the beginning of the schedule.
func (p *Plugin) retryOne(e *core.RequestEvent) error {
	row, err := p.findDelivery(e)
	if err != nil {
		return err
	}
	if row.Subject == testSubject {
		return httpapi.Error(apierr.Invalid("id", "is of a test; send another one instead."))
	}
	if _, err := p.again(e.App, row.Endpoint, dbx.HashExp{"id": row.ID}); err != nil {
		return httpapi.Failure(err)
	}
	if row, err = p.findDelivery(e); err != nil {
		return err
	}
	return e.JSON(http.StatusOK, row.detail())
}

// retryAllInput is the body of POST /api/v1/webhooks/deliveries/retry.
type retryAllInput struct {
	Webhook string     `json:"webhook"`
	Since   *time.Time `json:"since"`
}

// retryAll sends all failed deliveries of an endpoint again.
func (p *Plugin) retryAll(e *core.RequestEvent) error {
	var in retryAllInput
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	if in.Webhook == "" {
		return httpapi.Error(apierr.Invalid("webhook", "is missing: the id of the webhook whose failed deliveries are to be sent again."))
	}
	if _, err := e.App.FindRecordById(migrations.WebhooksCollection, in.Webhook); err != nil {
		return httpapi.Error(ErrNotFound)
	}
	where := []dbx.Expression{
		dbx.HashExp{"endpoint": in.Webhook, "status": statusFailed},
		dbx.NewExp("subject <> {:test}", dbx.Params{"test": testSubject}),
	}
	if in.Since != nil {
		where = append(where, dbx.NewExp("created >= {:since}", dbx.Params{"since": in.Since.UnixMilli()}))
	}
	retried, err := p.again(e.App, in.Webhook, dbx.And(where...))
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, map[string]any{"retried": retried})
}

// again makes deliveries of an endpoint pending and due at once, whatever the
// endpoint has asked for: a person knows better.
func (p *Plugin) again(app core.App, endpointID string, where dbx.Expression) (int64, error) {
	changed, err := app.NonconcurrentDB().Update(table, dbx.Params{
		"status": statusPending, "attempts": 0, "finished": 0, "due": p.cfg.Now().UnixMilli(),
	}, where).Execute()
	if err != nil {
		return 0, err
	}
	p.dispatch.release(endpointID)
	p.dispatch.wake()
	return changed.RowsAffected()
}
