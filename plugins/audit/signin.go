package audit

import (
	"errors"
	"sync"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// bindSignIns records how superusers sign in, and who fails to.
func (p *Plugin) bindSignIns() {
	const superusers = core.CollectionNameSuperusers
	p.app.OnRecordAuthRequest(superusers).Bind(&hook.Handler[*core.RecordAuthRequestEvent]{
		Id: "picoAuditSignIn",
		Func: func(e *core.RecordAuthRequestEvent) error {
			if err := e.Next(); err != nil {
				return err
			}
			if e.AuthMethod != "" { // a refresh or an impersonation has none
				p.signedIn(e)
			}
			return nil
		},
	})
	p.app.OnRecordAuthWithPasswordRequest(superusers).Bind(&hook.Handler[*core.RecordAuthWithPasswordRequestEvent]{
		Id: "picoAuditSignInFailed",
		Func: func(e *core.RecordAuthWithPasswordRequestEvent) error {
			err := e.Next()
			p.signInFailed(e.RequestEvent, err, core.MFAMethodPassword, e.Identity, e.Record)
			return err
		},
	})
	p.app.OnRecordAuthWithOTPRequest(superusers).Bind(&hook.Handler[*core.RecordAuthWithOTPRequestEvent]{
		Id: "picoAuditSignInFailed",
		Func: func(e *core.RecordAuthWithOTPRequestEvent) error {
			err := e.Next()
			p.signInFailed(e.RequestEvent, err, core.MFAMethodOTP, "", e.Record)
			return err
		},
	})
}

func (p *Plugin) signedIn(e *core.RecordAuthRequestEvent) {
	by := originOf(e.RequestEvent)
	by.Actor = Actor{Kind: "superuser", ID: e.Record.Id, Name: e.Record.Email()}
	p.recordLate(by, signInEntry("superuser.signed_in", e.AuthMethod, "", e.Record))
}

func (p *Plugin) signInFailed(e *core.RequestEvent, err error, method, identity string, record *core.Record) {
	if err == nil || errors.Is(err, apis.ErrMFA) { // which asks for the second factor
		return
	}
	allowed, dropped := p.failedSignIns.allow(time.Now())
	if !allowed {
		return
	}
	entry := signInEntry("superuser.sign_in_failed", method, identity, record)
	if dropped > 0 {
		entry.After.(map[string]any)["notRecordedBefore"] = dropped
	}
	p.recordLate(originOf(e), entry)
}

func signInEntry(action, method, identity string, record *core.Record) Entry {
	entry := Entry{
		Action:     action,
		TargetType: "superuser",
		TargetName: identity,
		After:      map[string]any{"method": method},
	}
	if record != nil {
		entry.TargetID, entry.TargetName = record.Id, record.Email()
	}
	return entry
}

// throttle bounds what strangers can add to a trail that nobody may delete
// from: the first ten failures of every minute.
type throttle struct {
	mu      sync.Mutex
	minute  time.Time
	count   int
	dropped int
}

const failuresPerMinute = 10

// allow reports whether to record one more, and how many were dropped since
// the last that was.
func (t *throttle) allow(now time.Time) (ok bool, dropped int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if minute := now.Truncate(time.Minute); minute != t.minute {
		t.minute, t.count = minute, 0
	}
	if t.count == failuresPerMinute {
		t.dropped++
		return false, 0
	}
	t.count++
	dropped, t.dropped = t.dropped, 0
	return true, dropped
}
