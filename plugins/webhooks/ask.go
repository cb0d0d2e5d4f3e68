package webhooks

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/event"
)

// maxAsking bounds the questions to one endpoint that are under way: one that
// finds no place waits, within its own time.
const maxAsking = 64

// maxDenial is the length in bytes that a denial's message is cut to.
const maxDenial = 300

// The errors of questions.
var (
	ErrDenied = apierr.New(http.StatusForbidden, "denied_by_webhook", "This was denied.")

	ErrUnavailable = apierr.New(http.StatusServiceUnavailable, "webhook_unavailable",
		"A webhook that must be asked before this gave no answer; try again in a moment.").WithRetryAfter(5 * time.Second)
)

// Ask asks all blocking endpoints that want the question, one after the other. It
// returns nil if all allow it. An answer of 2xx allows, one of 4xx with a message
// denies; all else is decided by the endpoint's setting failOpen.
func (p *Plugin) Ask(ctx context.Context, e event.Event) error {
	targets := p.endpoints.Load().targets(e.Type, e.Collection)
	if len(targets) == 0 {
		return nil
	}
	body, err := e.Body()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.AskTimeout)
	defer cancel()
	for _, ep := range targets {
		if err := p.askOne(ctx, ep, e, body); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plugin) askOne(ctx context.Context, ep *endpoint, e event.Event, body []byte) error {
	r := p.question(ctx, ep, e, body)
	count := func(outcome string) { p.metrics.questions.WithLabelValues(outcome).Inc() }
	switch {
	case r.ok():
		count("allowed")
		return nil
	case r.status >= 400 && r.status < 500:
		if message := denial(r); message != "" {
			count("denied")
			return ErrDenied.WithMessage(message)
		}
	}
	count("failed")
	p.app.Logger().Warn("blocking webhook failed", "webhook", ep.id, "type", e.Type, "allowed", ep.failOpen, "cause", r.problem())
	if ep.failOpen {
		return nil
	}
	return ErrUnavailable
}

func (p *Plugin) question(ctx context.Context, ep *endpoint, e event.Event, body []byte) result {
	select {
	case ep.asking <- struct{}{}:
		defer func() { <-ep.asking }()
	case <-ctx.Done():
		return result{at: p.cfg.Now(), err: ctx.Err()}
	}
	return p.post(ctx, ep, e.ID, body, p.cfg.AskTimeout)
}

// denial finds the message in an answer: {"message":"…"}, or
// {"error":{"message":"…"}}. Without one, only 403 is surely meant as a no: 404 or
// 401 may come from a receiver that is not in order.
func denial(r result) string {
	var answer struct {
		Message string `json:"message"`
		Error   struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal([]byte(r.body), &answer) // a page, or nothing: no message
	message := strings.TrimSpace(answer.Message)
	if message == "" {
		message = strings.TrimSpace(answer.Error.Message)
	}
	if message == "" && r.status == http.StatusForbidden {
		message = ErrDenied.Message
	}
	if len(message) <= maxDenial {
		return message
	}
	cut := maxDenial
	for !utf8.RuneStart(message[cut]) {
		cut--
	}
	return message[:cut]
}
