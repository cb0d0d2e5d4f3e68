// Package config defines a tenant's settings: their shape, defaults and rules.
//
// It reads no file, flag or database. Package settings keeps one Settings in
// the tenant's database and hands the present one to the other plugins.
//
//	next, err := current.Patch(body) // unknown fields and broken rules are errors
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/picobase/picobase/internal/apierr"
)

// Settings is everything that PATCH /api/v1/settings can change. A Settings in
// use is never changed: Patch makes a new one.
type Settings struct {
	CORS        CORS        `json:"cors"`
	IPAllowlist IPAllowlist `json:"ipAllowlist"`
	RateLimits  RateLimits  `json:"rateLimits"`
	APIKeys     APIKeys     `json:"apiKeys"`
	Usage       Usage       `json:"usage"`
	Audit       Audit       `json:"audit"`
	Backups     Backups     `json:"backups"`
	Webhooks    Webhooks    `json:"webhooks"`
	JSHooks     JSHooks     `json:"jshooks"`
	Auth        Auth        `json:"auth"`
}

// CORS says which web pages may call the API from a browser.
type CORS struct {
	// Origins lists the allowed origins: "https://app.example.com",
	// "https://*.example.com" for every subdomain, or "*" for all (default).
	Origins []string `json:"origins"`

	// Credentials lets pages send cookies along (default false). It cannot be
	// combined with the origin "*".
	Credentials bool `json:"credentials"`

	// MaxAge is how long browsers may keep a preflight's answer, in seconds
	// (default 7200, the longest that Chromium honours; at most 86400).
	MaxAge int `json:"maxAge"`
}

// IPAllowlist limits the addresses that may call the API.
type IPAllowlist struct {
	// Enabled turns the list on (default false).
	Enabled bool `json:"enabled"`

	// CIDRs lists the allowed addresses and networks, IPv4 and IPv6.
	CIDRs []string `json:"cidrs"`

	// TrustedProxies lists the addresses and networks of the proxies in front
	// of this tenant. When it is not empty, the client address headers that
	// PocketBase's trusted proxy setting names are believed from these peers
	// only, and dropped from all others.
	TrustedProxies []string `json:"trustedProxies"`
}

// RateLimits bounds how fast clients may call the API.
type RateLimits struct {
	// Enabled turns the limits on (default true).
	Enabled bool `json:"enabled"`

	// PerKey limits each API key without a limit of its own (default 100/s, burst 200).
	PerKey RateLimit `json:"perKey"`

	// PerIP limits each client address (default 100/s, burst 200).
	PerIP RateLimit `json:"perIP"`
}

// RateLimit is a token bucket.
type RateLimit struct {
	// Rate is the sustained number of requests per second.
	Rate float64 `json:"rate"`

	// Burst is how many requests may come at once.
	Burst int `json:"burst"`
}

// APIKeys says whether requests need an API key.
type APIKeys struct {
	// Required refuses requests without a key (default true). A key that is
	// sent is checked either way.
	Required bool `json:"required"`
}

// Usage says how long usage figures are kept.
type Usage struct {
	// RetentionDays is the age in days at which hourly figures are deleted
	// (default 90, 1 to 3650).
	RetentionDays int `json:"retentionDays"`
}

// Audit says how long the audit trail is kept.
type Audit struct {
	// RetentionDays is the age in days at which entries are deleted
	// (default 365, 30 to 3650).
	RetentionDays int `json:"retentionDays"`
}

// Backups says how the project is copied to where it is safe.
type Backups struct {
	Replication Replication `json:"replication"`
	Snapshots   Snapshots   `json:"snapshots"`
	Drill       Drill       `json:"drill"`
}

// Replication is the copy that is never more than a moment behind.
type Replication struct {
	// IntervalMS is the longest time in milliseconds until a write is on its
	// way (default 500, 100 to 10000).
	IntervalMS int `json:"intervalMs"`

	// RetentionDays is how many days back the project can be restored to any
	// second, and how long deleted files are kept (default 7, 1 to 90).
	RetentionDays int `json:"retentionDays"`
}

// Snapshots are whole backups in PocketBase's format.
type Snapshots struct {
	// Schedule is when one is made, as a cron expression of five fields or as
	// @daily and the like (default every six hours). Empty for never.
	Schedule string `json:"schedule"`

	// TimeZone is the IANA time zone that both schedules are in (default UTC).
	TimeZone string `json:"timeZone"`

	// Keep is how many scheduled ones are kept (default 28, 1 to 1000).
	Keep int `json:"keep"`

	// KeepDays is the age in days at which scheduled ones are deleted (default
	// 30, 1 to 3650). The newest good one always stays.
	KeepDays int `json:"keepDays"`
}

// Drill is the regular proof that a restore works.
type Drill struct {
	// Schedule is when the newest state is restored aside and checked, as in
	// Snapshots (default Sundays at 04:00). Empty for never.
	Schedule string `json:"schedule"`
}

// Webhooks says how events are sent to other servers.
type Webhooks struct {
	// AllowedPrivateHosts lists what webhooks may reach beside the public
	// internet: host names, addresses and networks (default none).
	AllowedPrivateHosts []string `json:"allowedPrivateHosts"`

	// RetentionDays is the age in days at which deliveries that ended are
	// deleted (default 7, 1 to 365).
	RetentionDays int `json:"retentionDays"`

	// RotationGraceHours is how long the old secret of a webhook signs too after
	// a rotation that names no time (default 24, 0 to 720).
	RotationGraceHours int `json:"rotationGraceHours"`
}

// JSHooks bounds what JavaScript hooks may use.
type JSHooks struct {
	// Enabled runs the active version of the hooks (default true).
	Enabled bool `json:"enabled"`

	// TimeoutMS is how long one call of a hook may take, in milliseconds
	// (default 1000, 10 to 30000).
	TimeoutMS int `json:"timeoutMs"`

	// MemoryMB is how much the heap may grow while hooks run before the
	// hungriest are ended, in megabytes (default 128, 16 to 4096).
	MemoryMB int `json:"memoryMB"`

	// MaxVMs is how many calls run at once; more wait (default 8, 1 to 256).
	MaxVMs int `json:"maxVMs"`

	// AllowedPrivateHosts lists host names, addresses and networks that $http.send
	// may reach although they are not of the public internet (default none).
	AllowedPrivateHosts []string `json:"allowedPrivateHosts"`

	// LogRetentionDays is the age in days at which what hooks logged is deleted
	// (default 7, 1 to 90).
	LogRetentionDays int `json:"logRetentionDays"`
}

// Auth holds rules for sign-in.
type Auth struct {
	// RedirectURLs lists where an OAuth2 sign-in may send people back to, as
	// exact URLs or with a trailing "*". Empty (default) allows all.
	RedirectURLs []string `json:"redirectURLs"`
}

// Default returns the settings of a new tenant.
func Default() *Settings {
	limit := RateLimit{Rate: 100, Burst: 200}
	return &Settings{
		CORS:        CORS{Origins: []string{"*"}, MaxAge: 7200},
		IPAllowlist: IPAllowlist{CIDRs: []string{}, TrustedProxies: []string{}},
		RateLimits:  RateLimits{Enabled: true, PerKey: limit, PerIP: limit},
		APIKeys:     APIKeys{Required: true},
		Usage:       Usage{RetentionDays: 90},
		Audit:       Audit{RetentionDays: 365},
		Backups: Backups{
			Replication: Replication{IntervalMS: 500, RetentionDays: 7},
			Snapshots:   Snapshots{Schedule: "0 */6 * * *", TimeZone: "UTC", Keep: 28, KeepDays: 30},
			Drill:       Drill{Schedule: "0 4 * * 0"},
		},
		Webhooks: Webhooks{AllowedPrivateHosts: []string{}, RetentionDays: 7, RotationGraceHours: 24},
		JSHooks:  JSHooks{Enabled: true, TimeoutMS: 1000, MemoryMB: 128, MaxVMs: 8, AllowedPrivateHosts: []string{}, LogRetentionDays: 7},
		Auth:     Auth{RedirectURLs: []string{}},
	}
}

// ErrInvalidJSON answers a patch that is not one JSON object.
var ErrInvalidJSON = apierr.New(http.StatusBadRequest, "invalid_json", "The settings must be one JSON object.")

// Parse reads stored settings over the defaults. Fields that this version does
// not know are ignored, so that an older binary starts on a newer folder.
func Parse(stored []byte) (*Settings, error) {
	settings := Default()
	if err := json.Unmarshal(stored, settings); err != nil {
		return nil, err
	}
	return settings, nil
}

// Patch returns a copy of s with the fields that the JSON object patch names
// replaced, checked as a whole. Lists are replaced, not merged. The error names
// the first field that is unknown, of the wrong type or against a rule.
func (s *Settings) Patch(patch []byte) (*Settings, error) {
	next, err := s.clone()
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(patch))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(next); err != nil {
		return nil, patchError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, ErrInvalidJSON
	}
	if err := next.Validate(); err != nil {
		return nil, err
	}
	return next, nil
}

// clone copies s deeply: decoding JSON into a shared slice would write into it.
func (s *Settings) clone() (*Settings, error) {
	encoded, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return Parse(encoded)
}

func patchError(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return apierr.Invalid(wrongType.Field, "has the wrong type ("+wrongType.Value+").")
	}
	if name, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		return apierr.Invalid(strings.Trim(name, `"`), "is not a known setting.")
	}
	return ErrInvalidJSON.WithCause(err)
}
