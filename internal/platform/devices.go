package platform

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

// Logins of devices follow RFC 8628: the command line shows a code, its user types
// it where they are signed in, and the command line fetches a token. They live in
// memory only: after a restart of the platform one begins anew.
const (
	deviceTime     = 10 * time.Minute
	deviceInterval = 5 * time.Second
	maxDevices     = 1000

	// deviceTokenTime is how long the token holds that a device gets.
	deviceTokenTime = 90 * 24 * time.Hour

	// maxGuesses bounds how many wrong codes anybody may type within deviceTime.
	maxGuesses = 20
)

type devices struct {
	now func() time.Time

	mu      sync.Mutex
	byCode  map[string]*device // by hash of the device code
	guesses map[string][]time.Time
}

type device struct {
	userCode string
	name     string
	expires  time.Time
	interval time.Duration
	asked    time.Time
	user     string // once it is approved
	refused  bool
}

func newDevices(now func() time.Time) *devices {
	return &devices{now: now, byCode: map[string]*device{}, guesses: map[string][]time.Time{}}
}

// begin makes a login.
func (d *devices) begin(name string) (deviceCode, userCode string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for code, login := range d.byCode {
		if !now.Before(login.expires) {
			delete(d.byCode, code)
		}
	}
	if len(d.byCode) >= maxDevices {
		return "", "", errTooManyDevices
	}
	deviceCode, userCode = randomText(), randomCode()
	d.byCode[hashOf(deviceCode)] = &device{userCode: userCode, name: name, expires: now.Add(deviceTime), interval: deviceInterval}
	return deviceCode, userCode, nil
}

// decide lets the login with that user code act as user, or refuses it.
func (d *devices) decide(userCode, user string, allow bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	recent := d.guesses[user][:0]
	for _, at := range d.guesses[user] {
		if now.Sub(at) < deviceTime {
			recent = append(recent, at)
		}
	}
	if d.guesses[user] = recent; len(recent) >= maxGuesses {
		return errTooManyDevices
	}
	userCode = strings.ToUpper(strings.TrimSpace(userCode))
	if len(userCode) == 8 {
		userCode = userCode[:4] + "-" + userCode[4:]
	}
	for _, login := range d.byCode {
		if login.userCode == userCode && now.Before(login.expires) && login.user == "" && !login.refused {
			login.user, login.refused = user, !allow
			return nil
		}
	}
	d.guesses[user] = append(recent, now)
	return errUserCode
}

// poll returns who has approved the login, which ends it.
func (d *devices) poll(deviceCode string) (user, name string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, code := d.now(), hashOf(deviceCode)
	login := d.byCode[code]
	switch {
	case login == nil || !now.Before(login.expires):
		delete(d.byCode, code)
		return "", "", errExpiredToken
	case login.refused:
		delete(d.byCode, code)
		return "", "", errAccessDenied
	case login.user != "":
		delete(d.byCode, code)
		return login.user, login.name, nil
	case now.Sub(login.asked) < login.interval && !login.asked.IsZero():
		login.asked = now
		login.interval += 5 * time.Second
		return "", "", errSlowDown.WithDetail("interval", int(login.interval.Seconds()))
	}
	login.asked = now
	return "", "", errAuthPending
}

// startDevice begins a login. Anybody may.
func (p *Platform) startDevice(e *core.RequestEvent) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	if len(in.Name) > 60 {
		in.Name = strings.ToValidUTF8(in.Name[:60], "")
	}
	deviceCode, userCode, err := p.devices.begin(in.Name)
	if err != nil {
		return httpapi.Failure(err)
	}
	e.Response.Header().Set("Cache-Control", "no-store")
	page := p.cfg.PublicURL + devicePath
	return e.JSON(http.StatusOK, map[string]any{
		"device_code": deviceCode, "user_code": userCode, "verification_uri": page,
		"verification_uri_complete": page + "?code=" + userCode,
		"expires_in":                int(deviceTime.Seconds()), "interval": int(deviceInterval.Seconds()),
	})
}

// pollDevice hands out the token of a login that was approved.
func (p *Platform) pollDevice(e *core.RequestEvent) error {
	var in struct {
		DeviceCode string `json:"device_code"`
		GrantType  string `json:"grant_type"`
		ClientID   string `json:"client_id"`
	}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	e.Response.Header().Set("Cache-Control", "no-store")
	user, name, err := p.devices.poll(in.DeviceCode)
	if err != nil {
		return httpapi.Failure(err)
	}
	label := "picobase login"
	if name != "" {
		label += " on " + name
	}
	expires := p.cfg.Now().Add(deviceTokenTime)
	view, err := p.newToken(p.App, user, label, []string{"read", "write"}, expires)
	if err != nil {
		return httpapi.Failure(err)
	}
	if err := p.record(p.App, nil, act{"", "", "token.created", map[string]any{"id": view.ID, "label": label, "user": user}}); err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, map[string]any{
		"access_token": view.Token, "token_type": "Bearer", "expires_in": int(deviceTokenTime.Seconds()), "expires": timeText(expires),
	})
}

// approveDevice decides on a login, as the person who is signed in.
func (p *Platform) approveDevice(e *core.RequestEvent) error {
	var in struct {
		UserCode string `json:"userCode"`
		Allow    *bool  `json:"allow"`
	}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	if e.Auth.IsSuperuser() {
		return httpapi.Error(errRole.WithMessage("Tokens are of people. Sign in as a user of the platform."))
	}
	if _, ok := e.Get(tokenKey).(*core.Record); ok {
		return httpapi.Error(errTokenElsewhere.WithMessage("A personal access token approves no logins; sign in."))
	}
	if err := p.devices.decide(in.UserCode, e.Auth.Id, in.Allow == nil || *in.Allow); err != nil {
		return httpapi.Failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}
