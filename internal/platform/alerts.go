package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/picobase/picobase/internal/platform/fleet"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/picobase/picobase/internal/secret"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Webhook is where alerts are sent, signed by the Standard Webhooks scheme.
type Webhook struct {
	URL    string        // empty for none
	Secret secret.String // whsec_…

	// AllowedPrivateHosts are hosts that are not of the public internet and may be
	// sent to all the same.
	AllowedPrivateHosts []string
}

const (
	alertInterval   = 2 * time.Second
	alertTimeout    = 15 * time.Second
	maxAlertTries   = 12
	longestAlertGap = time.Hour
)

// alert is one thing that somebody should know. Of each kind a project, or an
// organization, has one open at most.
type alert struct {
	organization, project, kind, message string
}

// openAlert implements fleet.Config.Report.
func (p *Platform) openAlert(id string, kind fleet.Kind, message string) {
	view, _ := p.fleet.View(id)
	p.open(alert{view.Organization, id, string(kind), message})
}

// closeAlert implements fleet.Config.Resolve.
func (p *Platform) closeAlert(id string, kind fleet.Kind) {
	view, _ := p.fleet.View(id)
	p.close(alert{organization: view.Organization, project: id, kind: string(kind)})
}

func (p *Platform) findOpen(a alert) (*core.Record, error) {
	return p.App.FindFirstRecordByFilter(schema.Alerts, "organization = {:o} && project = {:p} && kind = {:k} && closed = ''",
		dbx.Params{"o": a.organization, "p": a.project, "k": a.kind})
}

// open opens an alert unless it is open. What fails is logged: whoever calls has
// something better to do.
func (p *Platform) open(a alert) {
	if _, err := p.findOpen(a); err == nil {
		return
	}
	collection, err := p.App.FindCachedCollectionByNameOrId(schema.Alerts)
	if err == nil {
		record := core.NewRecord(collection)
		record.Set("organization", a.organization)
		record.Set("project", a.project)
		record.Set("kind", a.kind)
		record.Set("message", a.message[:min(len(a.message), 5000)])
		record.Set("nextTry", p.cfg.Now())
		err = p.App.Save(record)
	}
	if err != nil {
		p.cfg.Logger.Error("alert not kept", "kind", a.kind, "project", a.project, "error", err)
	}
}

// close closes the alert if it is open.
func (p *Platform) close(a alert) {
	record, err := p.findOpen(a)
	if err != nil {
		return // it is not, as almost always
	}
	record.Set("closed", p.cfg.Now())
	record.Set("nextTry", p.cfg.Now())
	record.Set("attempts", 0)
	if err := p.App.Save(record); err != nil {
		p.cfg.Logger.Error("alert not closed", "kind", a.kind, "project", a.project, "error", err)
	}
}

// closeAlertsOf closes all that is open about a project that is deleted.
func (p *Platform) closeAlertsOf(project string) error {
	records, err := p.App.FindAllRecords(schema.Alerts, dbx.HashExp{"project": project, "closed": ""})
	for _, record := range records {
		p.close(alert{organization: record.GetString("organization"), project: project, kind: record.GetString("kind")})
	}
	return err
}

// tellAlerts sends what is new about alerts to the webhook and to the owners.
func (p *Platform) tellAlerts(ctx context.Context) error {
	records, err := p.App.FindRecordsByFilter(schema.Alerts, "nextTry != '' && nextTry <= {:now}", "nextTry", 50, 0,
		dbx.Params{"now": dateText(p.cfg.Now())})
	if err != nil {
		return err
	}
	var problem error
	for _, record := range records {
		problem = errors.Join(problem, p.tell(ctx, record))
	}
	return problem
}

func (p *Platform) tell(ctx context.Context, record *core.Record) error {
	event, told := "alert.opened", "openTold"
	if record.GetBool("openTold") {
		event, told = "alert.closed", "closeTold"
	}
	err := errors.Join(p.sendAlert(ctx, record, event), p.mailOnce(record, event))
	attempts := record.GetInt("attempts") + 1
	// What happened meanwhile to the rest of the record stays.
	change := dbx.Params{"attempts": attempts}
	switch {
	case err == nil || attempts >= maxAlertTries:
		p.mailed.Delete(record.Id + event)
		change[told], change["attempts"], change["nextTry"] = true, 0, ""
		if told == "openTold" && !record.GetDateTime("closed").IsZero() {
			change["nextTry"] = dateText(p.cfg.Now())
		}
	default:
		change["nextTry"] = dateText(p.cfg.Now().Add(min(alertInterval<<attempts, longestAlertGap)))
	}
	where := dbx.HashExp{"id": record.Id, "closed": dateText(record.GetDateTime("closed").Time())}
	_, storeErr := p.App.NonconcurrentDB().Update(schema.Alerts, change, where).Execute()
	return errors.Join(err, storeErr)
}

type alertView struct {
	ID             string `json:"id"`
	Organization   string `json:"organization"`
	Project        string `json:"project,omitempty"`
	Kind           string `json:"kind"`
	Message        string `json:"message"`
	Opened         string `json:"opened"`
	Closed         string `json:"closed,omitempty"`
	Acknowledged   string `json:"acknowledged,omitempty"`
	AcknowledgedBy string `json:"acknowledgedBy,omitempty"`
}

func viewAlert(r *core.Record) alertView {
	return alertView{
		ID: r.Id, Organization: r.GetString("organization"), Project: r.GetString("project"), Kind: r.GetString("kind"), Message: r.GetString("message"),
		Opened: r.GetDateTime("created").String(), Closed: r.GetDateTime("closed").String(),
		Acknowledged: r.GetDateTime("acknowledged").String(), AcknowledgedBy: r.GetString("acknowledgedBy"),
	}
}

// sendAlert sends the alert to the webhook. A receiver knows a repetition by its id.
func (p *Platform) sendAlert(ctx context.Context, record *core.Record, event string) error {
	if p.cfg.Webhook.URL == "" {
		return nil
	}
	body, err := json.Marshal(map[string]any{"type": event, "timestamp": p.cfg.Now().UTC().Format(time.RFC3339), "data": viewAlert(record)})
	if err != nil {
		return err
	}
	signer, err := standardwebhooks.NewWebhook(p.cfg.Webhook.Secret.Reveal())
	if err != nil {
		return fmt.Errorf("the secret of the alerts' webhook: %w", err)
	}
	id, now := "msg_"+record.Id+"_"+event[len("alert."):], p.cfg.Now()
	signature, err := signer.Sign(id, now, body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, alertTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.cfg.Webhook.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "PicoBase/"+p.cfg.Version)
	request.Header.Set(standardwebhooks.HeaderWebhookID, id)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	client := http.Client{Transport: p.hooks, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("webhook of alerts: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10) // the status decides
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("webhook of alerts: answered %d", response.StatusCode)
	}
	return nil
}

// mailOnce mails the alert unless that was done while the webhook failed. A receiver
// of webhooks knows a repetition by its id, people know it by their anger. After a
// restart of the platform it may be mailed again.
func (p *Platform) mailOnce(record *core.Record, event string) error {
	if _, done := p.mailed.Load(record.Id + event); done {
		return nil
	}
	err := p.mailAlert(record, event)
	if err == nil {
		p.mailed.Store(record.Id+event, true)
	}
	return err
}

// mailAlert tells the organization's owners, if PocketBase has a mail server.
func (p *Platform) mailAlert(record *core.Record, event string) error {
	if !p.App.Settings().SMTP.Enabled {
		return nil
	}
	members, err := p.App.FindAllRecords(schema.Members, dbx.HashExp{"organization": record.GetString("organization"), "role": string(owner)})
	if err != nil {
		return err
	}
	var to []string
	for _, m := range members {
		user, err := p.App.FindRecordById(schema.Users, m.GetString("user"))
		if err != nil {
			return err
		}
		to = append(to, user.Email())
	}
	if len(to) == 0 {
		return nil
	}
	about := record.GetString("kind")
	if view, ok := p.fleet.View(record.GetString("project")); ok {
		about += ": " + view.Name
	}
	subject, text := "Alert: "+about, record.GetString("message")
	if event == "alert.closed" {
		subject = "Over: " + about
	}
	return p.mail(to, subject, text+"\n\n"+p.cfg.PublicURL)
}
