package webhooks

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/pocketbase/pocketbase/core"
)

const (
	maxURL         = 2000
	maxDescription = 200
	maxEvents      = 50
	maxGrace       = 30 * 24 * time.Hour
)

// createInput is the body of POST /api/v1/webhooks.
type createInput struct {
	URL         string   `json:"url"`
	Description string   `json:"description"`
	Events      []string `json:"events"`
	Blocking    bool     `json:"blocking"`
	FailOpen    bool     `json:"failOpen"`
}

func (in createInput) apply(record *core.Record) *apierr.Error {
	record.Set("blocking", in.Blocking)
	return updateInput{URL: &in.URL, Description: &in.Description, Events: &in.Events, FailOpen: &in.FailOpen}.apply(record, time.Time{})
}

// updateInput is the body of PATCH /api/v1/webhooks/{id}: what is absent stays.
type updateInput struct {
	URL         *string   `json:"url"`
	Description *string   `json:"description"`
	Events      *[]string `json:"events"`
	FailOpen    *bool     `json:"failOpen"`
	Enabled     *bool     `json:"enabled"`
}

// apply checks the fields that are present and sets them on the record.
func (in updateInput) apply(record *core.Record, now time.Time) *apierr.Error {
	if in.URL != nil {
		if err := checkURL(*in.URL); err != nil {
			return err
		}
		record.Set("url", *in.URL)
	}
	if in.Description != nil {
		description := strings.TrimSpace(*in.Description)
		if utf8.RuneCountInString(description) > maxDescription || strings.ContainsFunc(description, isControl) {
			return apierr.Invalid("description", "must be at most 200 characters, without control characters.")
		}
		record.Set("description", description)
	}
	if in.Events != nil {
		if err := checkEvents(*in.Events, record.GetBool("blocking")); err != nil {
			return err
		}
		record.Set("events", *in.Events)
	}
	if in.FailOpen != nil {
		if *in.FailOpen && !record.GetBool("blocking") {
			return apierr.Invalid("failOpen", "is for blocking webhooks only.")
		}
		record.Set("failOpen", *in.FailOpen)
	}
	if in.Enabled != nil {
		in.enable(record, now)
	}
	return nil
}

func (in updateInput) enable(record *core.Record, now time.Time) {
	switch {
	case *in.Enabled:
		record.Set("disabled", nil)
		record.Set("disabledReason", "")
	case record.GetDateTime("disabled").IsZero():
		record.Set("disabled", now)
		record.Set("disabledReason", reasonManual)
	}
}

// checkURL checks the form of a URL only. Where it leads is checked whenever it is
// connected to: a name can come to mean another address.
func checkURL(text string) *apierr.Error {
	parsed, err := url.Parse(text)
	switch {
	case text == "":
		return apierr.Invalid("url", "is missing: where the events are to be sent, such as https://api.example.com/webhooks.")
	case len(text) > maxURL:
		return apierr.Invalid("url", "must be at most 2000 bytes.")
	case err != nil || parsed.Hostname() == "" || parsed.Scheme != "https" && parsed.Scheme != "http" || strings.ContainsFunc(text, isControl):
		return apierr.Invalid("url", "is not a web address; write it as https://api.example.com/webhooks.")
	case parsed.User != nil:
		return apierr.Invalid("url", "must have no user and password: everybody with the scope webhooks could read them. The signature shows who sends.")
	case parsed.Fragment != "":
		return apierr.Invalid("url", "must have no #fragment: it is never sent.")
	}
	return nil
}

func checkEvents(events []string, blocking bool) *apierr.Error {
	if len(events) == 0 || len(events) > maxEvents {
		return apierr.Invalid("events", "must have between 1 and 50 entries, such as user.created, user.* or record.updated:posts.")
	}
	for _, text := range events {
		parsed, err := parseSubscription(text)
		switch {
		case err != nil:
			return apierr.Invalid("events", err.Error()+".")
		case blocking && !parsed.isQuestion():
			return apierr.Invalid("events", text+" is sent after it happened; a blocking webhook is asked \"before user.created\" or \"before user.signed_in\".")
		case !blocking && parsed.isQuestion():
			return apierr.Invalid("events", text+" is a question; it needs \"blocking\": true.")
		}
	}
	return nil
}

// rotateInput is the body of POST /api/v1/webhooks/{id}/rotate-secret.
type rotateInput struct {
	// Grace is how long the old secret signs too, such as 24h or 0s.
	Grace *string `json:"grace"`
}

func (in rotateInput) grace(defaultHours int) (time.Duration, *apierr.Error) {
	if in.Grace == nil {
		return time.Duration(defaultHours) * time.Hour, nil
	}
	grace, err := time.ParseDuration(*in.Grace)
	if err != nil || grace < 0 || grace > maxGrace {
		return 0, apierr.Invalid("grace", "must be a duration between 0s and 720h, such as 24h or 30m.")
	}
	return grace, nil
}

// testInput is the body of POST /api/v1/webhooks/{id}/test.
type testInput struct {
	// Event is the type of the sample (default the first that the endpoint wants).
	Event string `json:"event"`
}

func (in testInput) eventType(ep *endpoint) (string, *apierr.Error) {
	if in.Event == "" && len(ep.events) > 0 {
		in.Event = ep.events[0]
	}
	parsed, err := parseSubscription(in.Event)
	if err != nil {
		return "", apierr.Invalid("event", err.Error()+".")
	}
	if parsed.isQuestion() != ep.blocking {
		return "", apierr.Invalid("event", "is nothing that this webhook can be sent.")
	}
	return parsed.types[0], nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
