package httpapi

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/apierr"
)

// Query is the checked query of a request.
type Query struct{ url.Values }

// ParseQuery refuses parameters that are not in known, and repeated ones: a
// filter that is silently ignored shows more than was asked for.
func ParseQuery(raw string, known ...string) (Query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return Query{}, apierr.Invalid("query", "is not a valid query string.")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, name) {
			return Query{}, apierr.Invalid(name, "is not a known parameter; there are "+strings.Join(known, ", ")+".")
		}
		if len(values[name]) > 1 {
			return Query{}, apierr.Invalid(name, "must be given once.")
		}
	}
	return Query{values}, nil
}

// Time reads a parameter as a time or a date in UTC, the zero time without one.
func (q Query) Time(name string) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, apierr.Invalid(name, "must be a time such as 2026-01-31T15:04:05Z, or a date such as 2026-01-31.")
}

// Number reads a parameter as a whole number from 1 to most.
func (q Query) Number(name string, byDefault, most int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return byDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, apierr.Invalid(name, fmt.Sprintf("must be a whole number from 1 to %d.", most))
	}
	return n, nil
}

// List reads a comma-separated parameter, each entry one of allowed.
func (q Query) List(name string, allowed ...string) ([]string, error) {
	text := q.Get(name)
	if text == "" {
		return nil, nil
	}
	entries := strings.Split(text, ",")
	for i, entry := range entries {
		if !slices.Contains(allowed, entry) {
			return nil, apierr.Invalid(name, fmt.Sprintf("%q is not one of %s.", entry, strings.Join(allowed, ", ")))
		}
		if slices.Contains(entries[:i], entry) {
			return nil, apierr.Invalid(name, fmt.Sprintf("%q is listed twice.", entry))
		}
	}
	return entries, nil
}
