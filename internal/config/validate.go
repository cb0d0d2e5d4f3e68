package config

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/robfig/cron/v3"
)

// MinAuditDays is the shortest retention of the audit trail; the database
// itself refuses to delete younger entries.
const MinAuditDays = 30

const maxList = 1000

// Validate returns an error that names the first field against a rule.
func (s *Settings) Validate() error {
	checks := []func() error{
		s.CORS.validate,
		s.IPAllowlist.validate,
		s.RateLimits.validate,
		func() error { return days("usage.retentionDays", s.Usage.RetentionDays, 1) },
		func() error { return days("audit.retentionDays", s.Audit.RetentionDays, MinAuditDays) },
		s.Backups.validate,
		s.Webhooks.validate,
		s.JSHooks.validate,
		s.Auth.validate,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c CORS) validate() error {
	if len(c.Origins) > maxList {
		return tooMany("cors.origins")
	}
	for _, origin := range c.Origins {
		if rule := brokenOriginRule(origin); rule != "" {
			return apierr.Invalid("cors.origins", fmt.Sprintf("%q %s", origin, rule))
		}
	}
	if c.Credentials && slices.Contains(c.Origins, "*") {
		return apierr.Invalid("cors.credentials", `cannot be true while cors.origins has "*": any page could act as the signed-in person. List the origins.`)
	}
	if c.MaxAge < 0 || c.MaxAge > 86400 {
		return apierr.Invalid("cors.maxAge", "must be between 0 and 86400 seconds.")
	}
	return nil
}

// brokenOriginRule says what is wrong with an origin, or nothing.
func brokenOriginRule(origin string) string {
	if origin == "*" {
		return ""
	}
	// A wildcard stands for whole labels at the front, so that
	// https://*example.com cannot match https://evilexample.com.
	parsed, err := url.Parse(strings.Replace(origin, "://*.", "://wildcard.", 1))
	switch {
	case err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https"):
		return "is not an origin; write it as https://app.example.com, https://*.example.com or *."
	case parsed.Path != "" || parsed.RawQuery != "" || parsed.Fragment != "" || parsed.User != nil:
		return "has more than scheme, host and port."
	case strings.Contains(parsed.Host, "*"):
		return "may have a wildcard as its first label only: https://*.example.com."
	}
	return ""
}

func (l IPAllowlist) validate() error {
	if err := prefixes("ipAllowlist.cidrs", l.CIDRs); err != nil {
		return err
	}
	if err := prefixes("ipAllowlist.trustedProxies", l.TrustedProxies); err != nil {
		return err
	}
	if l.Enabled && len(l.CIDRs) == 0 {
		return apierr.Invalid("ipAllowlist.cidrs", "must not be empty while the list is on: nobody could connect.")
	}
	return nil
}

func prefixes(field string, list []string) error {
	if len(list) > maxList {
		return tooMany(field)
	}
	for _, entry := range list {
		if _, err := ParsePrefix(entry); err != nil {
			return apierr.Invalid(field, fmt.Sprintf("%q is not an address or network; write it as 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32.", entry))
		}
	}
	return nil
}

// ParsePrefix reads an address or a network, such as 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32.
func ParsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err
}

func (r RateLimits) validate() error {
	if err := r.PerKey.Validate("rateLimits.perKey"); err != nil {
		return err
	}
	return r.PerIP.Validate("rateLimits.perIP")
}

// Validate checks the limit; field is its name in the error.
func (r RateLimit) Validate(field string) error {
	if math.IsNaN(r.Rate) || r.Rate <= 0 || r.Rate > 1e6 {
		return apierr.Invalid(field+".rate", "must be more than 0 and at most 1000000 requests per second.")
	}
	if r.Burst < 1 || r.Burst > 1e6 {
		return apierr.Invalid(field+".burst", "must be between 1 and 1000000 requests.")
	}
	return nil
}

func (b Backups) validate() error {
	if err := between("backups.replication.intervalMs", b.Replication.IntervalMS, 100, 10_000, "milliseconds"); err != nil {
		return err
	}
	if err := between("backups.replication.retentionDays", b.Replication.RetentionDays, 1, 90, "days"); err != nil {
		return err
	}
	if err := between("backups.snapshots.keep", b.Snapshots.Keep, 1, 1000, "snapshots"); err != nil {
		return err
	}
	if err := days("backups.snapshots.keepDays", b.Snapshots.KeepDays, 1); err != nil {
		return err
	}
	if _, err := time.LoadLocation(b.Snapshots.TimeZone); err != nil || b.Snapshots.TimeZone == "" || b.Snapshots.TimeZone == "Local" {
		return apierr.Invalid("backups.snapshots.timeZone", fmt.Sprintf("%q is not a time zone; write it as UTC or Europe/Berlin.", b.Snapshots.TimeZone))
	}
	if err := schedule("backups.snapshots.schedule", b.Snapshots.Schedule); err != nil {
		return err
	}
	return schedule("backups.drill.schedule", b.Drill.Schedule)
}

func (h JSHooks) validate() error {
	const hosts = "jshooks.allowedPrivateHosts"
	if len(h.AllowedPrivateHosts) > maxList {
		return tooMany(hosts)
	}
	for _, entry := range h.AllowedPrivateHosts {
		if _, err := ParsePrefix(entry); err != nil && !plainHost.MatchString(entry) {
			return apierr.Invalid(hosts, fmt.Sprintf("%q is not a host name, address or network; write it as localhost, 127.0.0.1 or 10.0.0.0/8, without a port.", entry))
		}
	}
	return cmp.Or(
		between("jshooks.timeoutMs", h.TimeoutMS, 10, 30_000, "milliseconds"),
		between("jshooks.memoryMB", h.MemoryMB, 16, 4096, "megabytes"),
		between("jshooks.maxVMs", h.MaxVMs, 1, 256, "calls"),
		between("jshooks.logRetentionDays", h.LogRetentionDays, 1, 90, "days"),
	)
}

// plainHost is a name such as localhost or mail.internal. A last label of digits
// would be an address that is written wrongly.
var plainHost = regexp.MustCompile(`^(?i:[a-z0-9_-]+\.)*(?i:[a-z_][a-z0-9_-]*)\.?$`)

// schedule checks a cron expression. Time zones have a setting of their own.
func schedule(field, expression string) error {
	if expression == "" {
		return nil
	}
	if _, err := cron.ParseStandard(expression); err != nil || strings.Contains(expression, "TZ=") {
		return apierr.Invalid(field, fmt.Sprintf("%q is not a schedule; write it as a cron expression of five fields such as \"0 */6 * * *\", as @daily, or leave it empty for never.", expression))
	}
	return nil
}

func (w Webhooks) validate() error {
	const field = "webhooks.allowedPrivateHosts"
	if len(w.AllowedPrivateHosts) > maxList {
		return tooMany(field)
	}
	for _, entry := range w.AllowedPrivateHosts {
		if _, err := ParsePrefix(entry); err != nil && !hostName.MatchString(entry) {
			return apierr.Invalid(field, fmt.Sprintf("%q is not a host name, address or network; write it as localhost, 127.0.0.1 or 10.0.0.0/8, without a port.", entry))
		}
	}
	if err := between("webhooks.retentionDays", w.RetentionDays, 1, 365, "days"); err != nil {
		return err
	}
	return between("webhooks.rotationGraceHours", w.RotationGraceHours, 0, 720, "hours")
}

// hostName is a name such as localhost or receiver.internal. A last label of
// digits would be an address that is written wrongly.
var hostName = regexp.MustCompile(`^(?i:[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*(?i:[a-z_]([a-z0-9_-]*[a-z0-9_])?)\.?$`)

func (a Auth) validate() error {
	if len(a.RedirectURLs) > maxList {
		return tooMany("auth.redirectURLs")
	}
	for _, entry := range a.RedirectURLs {
		parsed, err := url.Parse(strings.TrimSuffix(entry, "*"))
		if err != nil || parsed.Scheme == "" || (parsed.Host == "" && (parsed.Scheme == "http" || parsed.Scheme == "https")) ||
			strings.Contains(parsed.Host, "*") {
			return apierr.Invalid("auth.redirectURLs", fmt.Sprintf("%q is not a URL; write it as https://app.example.com/callback, or https://app.example.com/* for all paths.", entry))
		}
		// "https://example.com*" would also match https://example.com.evil.net.
		if strings.HasSuffix(entry, "*") && parsed.Path == "" {
			return apierr.Invalid("auth.redirectURLs", fmt.Sprintf("%q must have a / before the *.", entry))
		}
	}
	return nil
}

func days(field string, value, least int) error { return between(field, value, least, 3650, "days") }

func between(field string, value, least, most int, unit string) error {
	if value < least || value > most {
		return apierr.Invalid(field, fmt.Sprintf("must be between %d and %d %s.", least, most, unit))
	}
	return nil
}

func tooMany(field string) error {
	return apierr.Invalid(field, fmt.Sprintf("has more than %d entries.", maxList))
}
