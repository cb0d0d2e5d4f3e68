package platform

import (
	"encoding/json"
	"net/http"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// bindFigures binds what is to be read only: usage, alerts, events.
func (p *Platform) bindFigures(api *router.RouterGroup[*core.RequestEvent]) {
	api.GET("/organizations/{organization}/usage", p.usage)
	api.GET("/organizations/{organization}/events", p.listEvents)
	api.GET("/organizations/{organization}/alerts", p.listAlerts)
	api.POST("/alerts/{alert}/acknowledge", p.acknowledge)
}

type usageRow struct {
	Project  string `db:"project" json:"project"`
	Day      string `db:"day" json:"day"`
	Requests int64  `db:"requests" json:"requests"`
	Errors   int64  `db:"errors" json:"errors"`
	BytesIn  int64  `db:"bytesIn" json:"bytesIn"`
	BytesOut int64  `db:"bytesOut" json:"bytesOut"`
	Storage  int64  `db:"storage" json:"storage"`
}

// usage answers totals by project and day, the last 30 days by default. Those of a
// project that runs are an hour old at most.
func (p *Platform) usage(e *core.RequestEvent) error {
	organization, _, err := p.organization(e, viewer)
	if err != nil {
		return httpapi.Failure(err)
	}
	query, err := httpapi.ParseQuery(e.Request.URL.RawQuery, "from", "to", "project")
	if err != nil {
		return httpapi.Failure(err)
	}
	from, err := query.Time("from")
	if err != nil {
		return httpapi.Failure(err)
	}
	to, err := query.Time("to")
	if err != nil {
		return httpapi.Failure(err)
	}
	if to.IsZero() {
		to = p.cfg.Now()
	}
	if from.IsZero() {
		from = to.AddDate(0, 0, -30)
	}
	find := p.App.DB().Select("project", "day", "requests", "errors", "bytesIn", "bytesOut", "storage").From(schema.UsageTable).
		Where(dbx.HashExp{"organization": organization.Id}).AndWhere(dbx.Between("day", day(from), day(to))).OrderBy("day", "project")
	if project := query.Get("project"); project != "" {
		find.AndWhere(dbx.HashExp{"project": project})
	}
	items := []usageRow{}
	if err := find.All(&items); err != nil {
		return httpapi.Failure(err)
	}
	total, err := p.usedBy(p.App, organization.Id)
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items, "used": total, "quotas": p.quotasOf(organization), "running": p.fleet.Running(organization.Id)})
}

const maxRows = 500

func (p *Platform) listEvents(e *core.RequestEvent) error {
	organization, _, err := p.organization(e, viewer)
	if err != nil {
		return httpapi.Failure(err)
	}
	query, err := httpapi.ParseQuery(e.Request.URL.RawQuery, "project", "limit", "before")
	if err != nil {
		return httpapi.Failure(err)
	}
	limit, err := query.Number("limit", 100, maxRows)
	if err != nil {
		return httpapi.Failure(err)
	}
	before, err := query.Time("before")
	if err != nil {
		return httpapi.Failure(err)
	}
	filter, params := "organization = {:o}", dbx.Params{"o": organization.Id, "p": query.Get("project"), "b": dateText(before)}
	if query.Get("project") != "" {
		filter += " && project = {:p}"
	}
	if !before.IsZero() {
		filter += " && created < {:b}"
	}
	records, err := p.App.FindRecordsByFilter(schema.Events, filter, "-created,-@rowid", limit, 0, params)
	if err != nil {
		return httpapi.Failure(err)
	}
	items := []map[string]any{}
	for _, r := range records {
		details := json.RawMessage(r.GetString("details"))
		if len(details) == 0 {
			details = json.RawMessage("null")
		}
		items = append(items, map[string]any{
			"id": r.Id, "time": r.GetDateTime("created").String(), "action": r.GetString("action"), "project": r.GetString("project"),
			"actor": r.GetString("actor"), "actorName": r.GetString("actorName"), "details": details,
		})
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items})
}

func (p *Platform) listAlerts(e *core.RequestEvent) error {
	organization, _, err := p.organization(e, viewer)
	if err != nil {
		return httpapi.Failure(err)
	}
	query, err := httpapi.ParseQuery(e.Request.URL.RawQuery, "open", "limit")
	if err != nil {
		return httpapi.Failure(err)
	}
	limit, err := query.Number("limit", 100, maxRows)
	if err != nil {
		return httpapi.Failure(err)
	}
	filter := "organization = {:o}"
	if query.Get("open") == "true" {
		filter += " && closed = ''"
	}
	records, err := p.App.FindRecordsByFilter(schema.Alerts, filter, "-created", limit, 0, dbx.Params{"o": organization.Id})
	if err != nil {
		return httpapi.Failure(err)
	}
	items := []alertView{}
	for _, r := range records {
		items = append(items, viewAlert(r))
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items})
}

// acknowledge notes who looks after an alert. It stays open until its cause is gone.
func (p *Platform) acknowledge(e *core.RequestEvent) error {
	record, err := p.App.FindRecordById(schema.Alerts, e.Request.PathValue("alert"))
	if err == nil {
		err = p.need(e, record.GetString("organization"), developer)
	}
	// To strangers there is none, as if it were not there.
	if apiErr, ok := err.(*apierr.Error); ok && apiErr.Code == errOrganizationNotFound.Code { //nolint:errorlint // need makes it
		err = errAlertNotFound
	}
	if err != nil {
		return httpapi.Failure(or(err, errAlertNotFound))
	}
	_, err = p.App.NonconcurrentDB().Update(schema.Alerts, dbx.Params{
		"acknowledged": dateText(p.cfg.Now()), "acknowledgedBy": e.Auth.Email(),
	}, dbx.HashExp{"id": record.Id}).Execute()
	if err != nil {
		return httpapi.Failure(err)
	}
	if record, err = p.App.FindRecordById(schema.Alerts, record.Id); err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, viewAlert(record))
}
