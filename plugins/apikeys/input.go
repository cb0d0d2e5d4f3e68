package apikeys

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/apikey"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

const (
	maxLabel      = 100
	maxEntries    = 100
	defaultGrace  = "24h"
	maxGrace      = 90 * 24 * time.Hour
	timeFormat    = "2006-01-02T15:04:05.000Z"
	statusActive  = "active"
	statusRevoked = "revoked"
	statusExpired = "expired"
)

// createInput is the body of POST /api/v1/keys.
type createInput struct {
	Kind       Kind              `json:"kind"`
	Label      string            `json:"label"`
	Scopes     []string          `json:"scopes"`
	Expires    *time.Time        `json:"expires"`
	AllowedIPs []string          `json:"allowedIPs"`
	RateLimit  *config.RateLimit `json:"rateLimit"`
}

// updateInput is the body of PATCH /api/v1/keys/{id}: what is absent stays, null removes.
type updateInput struct {
	Label      optional[string]           `json:"label"`
	Scopes     optional[[]string]         `json:"scopes"`
	Expires    optional[time.Time]        `json:"expires"`
	AllowedIPs optional[[]string]         `json:"allowedIPs"`
	RateLimit  optional[config.RateLimit] `json:"rateLimit"`
}

// rotateInput is the body of POST /api/v1/keys/{id}/rotate.
type rotateInput struct {
	// Grace is how long the old key works on, such as 24h, 30m or 0s.
	Grace string `json:"grace"`
}

// optional tells an absent member from null.
type optional[T any] struct {
	present bool
	value   *T
}

func (o *optional[T]) UnmarshalJSON(data []byte) error {
	o.present = true
	return json.Unmarshal(data, &o.value)
}

// Key is an API key as the API shows it.
type Key struct {
	ID string `json:"id"`

	// Key is the key itself, present only in the answer that creates it.
	Key string `json:"key,omitempty"`

	Kind       Kind              `json:"kind"`
	Label      string            `json:"label"`
	Scopes     []string          `json:"scopes"`
	Expires    *string           `json:"expires"`
	Created    string            `json:"created"`
	Hint       string            `json:"hint"` // prefix and last four characters
	Status     string            `json:"status"`
	AllowedIPs []string          `json:"allowedIPs"`
	RateLimit  *config.RateLimit `json:"rateLimit"`
	LastUsed   *string           `json:"lastUsed"` // within a minute
	Revoked    *string           `json:"revoked"`
	RotatedTo  string            `json:"rotatedTo,omitempty"`
	CreatedBy  string            `json:"createdBy"`
}

func (p *Plugin) view(record *core.Record, raw string) Key {
	row := rowOf(record)
	key := Key{
		ID: record.Id, Key: raw, Kind: Kind(row.Kind), Label: row.Label,
		Scopes: append([]string{}, row.Scopes...), AllowedIPs: append([]string{}, row.AllowedIPs...),
		Expires: formatTime(row.Expires), Revoked: formatTime(row.Revoked), LastUsed: formatTime(record.GetDateTime("lastUsed")),
		Created: record.GetDateTime("created").Time().UTC().Format(timeFormat),
		Hint:    record.GetString("prefix") + "…" + record.GetString("lastFour"),
		Status:  p.status(record), RotatedTo: record.GetString("rotatedTo"), CreatedBy: record.GetString("createdBy"),
	}
	_ = record.UnmarshalJSONField("rateLimit", &key.RateLimit)
	return key
}

func formatTime(t types.DateTime) *string {
	if t.IsZero() {
		return nil
	}
	text := t.Time().UTC().Format(timeFormat)
	return &text
}

func (p *Plugin) status(record *core.Record) string {
	expires := record.GetDateTime("expires")
	switch {
	case !record.GetDateTime("revoked").IsZero():
		return statusRevoked
	case !expires.IsZero() && !p.cfg.Now().Before(expires.Time()):
		return statusExpired
	}
	return statusActive
}

// newRecord returns an unsaved key record for checked input.
func (p *Plugin) newRecord(app core.App, in createInput) (*core.Record, error) {
	if in.Kind != Publishable && in.Kind != Secret {
		return nil, apierr.Invalid("kind", `must be "publishable" or "secret".`)
	}
	if in.Kind == Secret && in.Scopes == nil {
		in.Scopes = []string{scope.Default}
	}
	collection, err := app.FindCachedCollectionByNameOrId(migrations.KeysCollection)
	if err != nil {
		return nil, err
	}
	record := core.NewRecord(collection)
	record.Set("kind", string(in.Kind))
	err = p.apply(record, updateInput{
		Label:      optional[string]{present: true, value: &in.Label},
		Scopes:     optional[[]string]{present: true, value: &in.Scopes},
		Expires:    optional[time.Time]{present: in.Expires != nil, value: in.Expires},
		AllowedIPs: optional[[]string]{present: true, value: &in.AllowedIPs},
		RateLimit:  optional[config.RateLimit]{present: in.RateLimit != nil, value: in.RateLimit},
	})
	return record, err
}

// apply checks the fields that are present and sets them on the record.
func (p *Plugin) apply(record *core.Record, in updateInput) error {
	if in.Label.present {
		label := strings.TrimSpace(valueOf(in.Label.value))
		if utf8.RuneCountInString(label) > maxLabel || strings.ContainsFunc(label, isControl) {
			return apierr.Invalid("label", "must be at most 100 characters, without control characters.")
		}
		record.Set("label", label)
	}
	if in.Scopes.present {
		if err := setScopes(record, valueOf(in.Scopes.value)); err != nil {
			return err
		}
	}
	if in.Expires.present {
		if in.Expires.value != nil && !in.Expires.value.After(p.cfg.Now()) {
			return apierr.Invalid("expires", "must be in the future.")
		}
		// To the millisecond, as it is stored.
		record.Set("expires", valueOf(in.Expires.value).Truncate(time.Millisecond))
	}
	if in.AllowedIPs.present {
		if err := setAllowedIPs(record, valueOf(in.AllowedIPs.value)); err != nil {
			return err
		}
	}
	if in.RateLimit.present {
		if in.RateLimit.value != nil {
			if err := in.RateLimit.value.Validate("rateLimit"); err != nil {
				return err
			}
		}
		record.Set("rateLimit", in.RateLimit.value)
	}
	return nil
}

func setScopes(record *core.Record, scopes []string) error {
	if Kind(record.GetString("kind")) == Publishable {
		if len(scopes) > 0 {
			return apierr.Invalid("scopes", "a publishable key has none: what it may do is up to the collections' rules.")
		}
		record.Set("scopes", []string{})
		return nil
	}
	if len(scopes) == 0 || len(scopes) > maxEntries {
		return apierr.Invalid("scopes", "a secret key needs between 1 and 100 scopes.")
	}
	set, err := scope.Parse(scopes)
	if err != nil {
		return apierr.Invalid("scopes", err.Error()+".")
	}
	record.Set("scopes", set.Strings())
	return nil
}

func setAllowedIPs(record *core.Record, list []string) error {
	if len(list) > maxEntries {
		return apierr.Invalid("allowedIPs", "must have at most 100 entries.")
	}
	prefixes := make([]string, 0, len(list))
	for _, text := range list {
		prefix, err := config.ParsePrefix(text)
		if err != nil {
			return apierr.Invalid("allowedIPs", text+" is not an address or network; write it as 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32.")
		}
		prefixes = append(prefixes, prefix.String())
	}
	record.Set("allowedIPs", prefixes)
	return nil
}

func valueOf[T any](pointer *T) (value T) {
	if pointer != nil {
		value = *pointer
	}
	return value
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// mint makes the key of a record and stores its hash there.
func (p *Plugin) mint(record *core.Record) (string, error) {
	kind := Kind(record.GetString("kind"))
	raw, err := apikey.Generate(kind)
	if err != nil {
		return "", err
	}
	_, sum, _ := apikey.Parse(raw)
	record.Set("hash", hex.EncodeToString(sum[:]))
	record.Set("prefix", kind.Prefix())
	record.Set("lastFour", raw[len(raw)-4:])
	return raw, nil
}

// successor returns the unsaved successor of old and its key, and sets the end
// of old. A key that was made to last for a time has a successor that lasts as long.
func (p *Plugin) successor(e *core.RequestEvent, old *core.Record, grace time.Duration) (*core.Record, string, error) {
	now := p.cfg.Now()
	next := core.NewRecord(old.Collection())
	for _, field := range []string{"kind", "label", "scopes", "allowedIPs", "rateLimit"} {
		next.Set(field, old.Get(field))
	}
	expires := old.GetDateTime("expires")
	if !expires.IsZero() {
		next.Set("expires", now.Add(expires.Sub(old.GetDateTime("created"))))
		// A key with an end cannot give its successor a later one than its own.
		if own := p.callerEntry(httpapi.CallerOf(e)); own != nil && !own.expires.IsZero() {
			next.Set("expires", own.expires)
		}
	}
	caller := httpapi.CallerOf(e)
	next.Set("createdBy", string(caller.Kind)+":"+caller.Name)
	raw, err := p.mint(next)
	if err != nil {
		return nil, "", err
	}
	next.Id = core.GenerateDefaultRandomId()
	old.Set("rotatedTo", next.Id)
	if grace == 0 {
		old.Set("revoked", now)
	} else if end := now.Add(grace); expires.IsZero() || end.Before(expires.Time()) {
		old.Set("expires", end)
	}
	return next, raw, nil
}

func parseGrace(text string) (time.Duration, error) {
	grace, err := time.ParseDuration(text)
	if err != nil || grace < 0 || grace > maxGrace {
		return 0, apierr.Invalid("grace", "must be a duration between 0s and 2160h, such as 24h or 30m.")
	}
	return grace, nil
}
