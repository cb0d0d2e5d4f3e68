package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/fleet"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/picobase/picobase/internal/platform/sign"
	"github.com/pocketbase/dbx"
)

// tenants asks running tenants, as the platform itself.
type tenants struct{ *Platform }

// maxAnswer bounds what is read of a tenant's answer: it may be anybody's.
const maxAnswer = 1 << 20

// ask reads the answer of a tenant to a GET.
func (t tenants) ask(ctx context.Context, id, address, path string, into any) error {
	status, body, err := t.request(ctx, http.MethodGet, id, address, path, nil)
	if err != nil {
		return err
	}
	// A health report that something fails is an answer too.
	if status != http.StatusOK && status != http.StatusServiceUnavailable {
		return fmt.Errorf("%s answered %d", path, status)
	}
	if text, ok := into.(*string); ok {
		*text = string(body)
		return nil
	}
	return json.Unmarshal(body, into)
}

// request calls the API of a tenant as the platform.
func (t tenants) request(ctx context.Context, method, id, address, path string, body io.Reader) (status int, answer []byte, err error) {
	client, base, err := driver.Client(address)
	if err != nil {
		return 0, nil, err
	}
	defer client.CloseIdleConnections()
	token, _, err := t.key.Token(sign.Claims{Project: id, Subject: "platform", For: time.Minute}, t.cfg.Now())
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, base+path, body)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, answer, err
}

// MakeSuperuser makes an account for a project's own dashboard.
func (p *Platform) MakeSuperuser(ctx context.Context, project, email, password string) error {
	route, err := p.fleet.Wake(ctx, project)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"email": email, "password": password, "passwordConfirm": password})
	if err != nil {
		return err
	}
	status, answer, err := tenants{p}.request(ctx, http.MethodPost, project, route.URL, "/api/collections/_superusers/records", bytes.NewReader(body))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the project answered %d: %s", status, answer)
	}
	return err
}

// Due implements [fleet.Tenants].
func (t tenants) Due(ctx context.Context, id, address string) (fleet.Answer, error) {
	var answer struct {
		Due       *time.Time `json:"due"`
		IdleSince *time.Time `json:"idleSince"`
		Busy      []struct {
			What  string `json:"what"`
			Count int    `json:"count"`
		} `json:"busy"`
		Synced *bool `json:"synced"`
	}
	if err := t.ask(ctx, id, address, "/api/v1/due", &answer); err != nil {
		return fleet.Answer{}, err
	}
	if answer.IdleSince == nil || answer.Synced == nil {
		return fleet.Answer{}, errors.New("the tenant's answer lacks idleSince or synced")
	}
	result := fleet.Answer{IdleSince: *answer.IdleSince, Synced: *answer.Synced}
	if answer.Due != nil {
		result.Due = *answer.Due
	}
	var busy []string
	for _, b := range answer.Busy {
		if b.Count > 0 {
			busy = append(busy, strconv.Itoa(b.Count)+" "+b.What)
		}
	}
	result.Busy = strings.Join(busy, ", ")
	return result, nil
}

// Ready implements [fleet.Tenants].
func (t tenants) Ready(ctx context.Context, _, address string) (bool, error) {
	client, base, err := driver.Client(address)
	if err != nil {
		return false, err
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+driver.ReadyPath, nil)
	if err != nil {
		return false, err
	}
	response, err := client.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK, nil
}

// Collect implements [fleet.Tenants]: usage of today and yesterday, the size of the
// databases, and what the health report says that somebody should know.
func (t tenants) Collect(ctx context.Context, id, address string) error {
	return errors.Join(t.collectUsage(ctx, id, address), t.collectHealth(ctx, id, address))
}

func (t tenants) collectUsage(ctx context.Context, id, address string) error {
	now := t.cfg.Now().UTC()
	query := url.Values{"interval": {"day"}, "from": {day(now.Add(-24 * time.Hour))}}
	var report struct {
		Items []struct {
			Time     time.Time `json:"time"`
			Requests int64     `json:"requests"`
			Errors   int64     `json:"errors"`
			BytesIn  int64     `json:"bytesIn"`
			BytesOut int64     `json:"bytesOut"`
		} `json:"items"`
	}
	if err := t.ask(ctx, id, address, "/api/v1/usage?"+query.Encode(), &report); err != nil {
		return err
	}
	storage, err := t.storage(ctx, id, address)
	if err != nil {
		return err
	}
	view, ok := t.fleet.View(id)
	if !ok {
		return nil
	}
	// A day's figures as the tenant has them replace what is here: taking them twice
	// counts nothing twice.
	store := func(when time.Time, requests, failures, in, out int64) error {
		_, err := t.App.NonconcurrentDB().NewQuery(`
INSERT INTO ` + schema.UsageTable + ` (project, day, organization, requests, errors, bytesIn, bytesOut, storage)
VALUES ({:p}, {:d}, {:o}, {:r}, {:e}, {:i}, {:u}, {:s})
ON CONFLICT (project, day) DO UPDATE SET requests = MAX(requests, excluded.requests), errors = MAX(errors, excluded.errors),
	bytesIn = MAX(bytesIn, excluded.bytesIn), bytesOut = MAX(bytesOut, excluded.bytesOut), storage = excluded.storage`).
			Bind(dbx.Params{"p": id, "d": day(when), "o": view.Organization, "r": requests, "e": failures, "i": in, "u": out, "s": storage}).Execute()
		return err
	}
	if err := store(now, 0, 0, 0, 0); err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, item := range report.Items {
		// The tenant's word is not trusted: what was not asked for would fill the registry.
		asked := day(item.Time) == day(now) || day(item.Time) == day(now.Add(-24*time.Hour))
		if !asked || taken[day(item.Time)] {
			continue
		}
		taken[day(item.Time)] = true
		if err := store(item.Time, plausible(item.Requests), plausible(item.Errors), plausible(item.BytesIn), plausible(item.BytesOut)); err != nil {
			return err
		}
	}
	t.checkUse(view.Organization)
	return nil
}

// maxFigure is more than any tenant has, and few enough for sums of them.
const maxFigure = 1 << 50

// plausible is the figure that a tenant gives, as far as it can be one.
func plausible(figure int64) int64 { return min(max(figure, 0), maxFigure) }

// storage is the size of the tenant's databases in bytes, from its metrics.
func (t tenants) storage(ctx context.Context, id, address string) (total int64, err error) {
	var text string
	if err := t.ask(ctx, id, address, "/metrics", &text); err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "picobase_db_size_bytes{") {
			continue
		}
		if _, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok {
			size, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, fmt.Errorf("metrics: %w", err)
			}
			if size > 0 { // not of NaN
				total += int64(min(size, maxFigure))
			}
		}
	}
	return plausible(total), nil
}

// healthAlerts are the checks of a tenant that open alerts.
var healthAlerts = map[string]string{"disk": "disk", "replication": "replication_lag", "backups": "failed_drill"}

func (t tenants) collectHealth(ctx context.Context, id, address string) error {
	var report struct {
		Checks map[string]struct {
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"checks"`
	}
	if err := t.ask(ctx, id, address, "/api/v1/health", &report); err != nil {
		return err
	}
	for check, kind := range healthAlerts {
		result, ok := report.Checks[check]
		switch {
		case ok && (result.Status == "failing" || result.Status == "degraded"):
			t.openAlert(id, fleet.Kind(kind), result.Message)
		case ok:
			t.closeAlert(id, fleet.Kind(kind))
		}
	}
	return nil
}
