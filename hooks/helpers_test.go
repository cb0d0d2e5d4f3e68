package hooks

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/event"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
)

const testPassword = "correct horse battery"

// notebook is a Publisher that wants everything, and counts what was committed.
type notebook struct {
	mu     sync.Mutex
	only   []string // types that are wanted; nil for all
	fail   error
	events []noted
}

type noted struct {
	event.Event
	atomic bool // in a transaction
	body   string
}

func (n *notebook) Wants(eventType, _ string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.only == nil || slices.Contains(n.only, eventType)
}

func (n *notebook) Publish(app core.App, e event.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return n.fail
	}
	body, err := e.Body()
	if err != nil {
		return err
	}
	entry := noted{e, app.IsTransactional(), string(body)}
	if info := app.TxInfo(); info != nil {
		info.OnComplete(func(err error) error {
			if err == nil {
				n.add(entry)
			}
			return nil
		})
		return nil
	}
	n.events = append(n.events, entry)
	return nil
}

func (n *notebook) add(entry noted) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, entry)
}

// take returns what was published since the last time.
func (n *notebook) take() []noted {
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := n.events
	n.events = nil
	return taken
}

// site is a server with the hooks of this package, and a provider for OAuth2.
type site struct {
	t        *testing.T
	app      *tests.TestApp
	url      string
	notebook *notebook
	oauth2   map[string]any // the person at the provider
}

func newSite(t *testing.T, bind func(app core.App)) *site {
	t.Helper()
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Cleanup)
	s := &site{t: t, app: app, notebook: &notebook{}}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/token" {
			_, _ = w.Write([]byte(`{"access_token":"provider-token","token_type":"bearer"}`))
			return
		}
		_ = json.NewEncoder(w).Encode(s.oauth2)
	}))
	t.Cleanup(provider.Close)
	app.Settings().Batch.Enabled = true
	app.Settings().Batch.MaxRequests = 10
	app.Settings().Batch.Timeout = 60
	app.Settings().RateLimits.Enabled = false
	if err := app.Save(app.Settings()); err != nil {
		t.Fatal(err)
	}
	s.changeUsers(func(users *core.Collection) {
		everybody := ""
		users.CreateRule, users.UpdateRule, users.DeleteRule = &everybody, &everybody, &everybody
		users.MFA.Enabled = false
		users.OTP.Enabled = true
		users.AuthAlert.Enabled = false
		users.OAuth2.Enabled = true
		users.OAuth2.Providers = []core.OAuth2ProviderConfig{{
			Name: "oidc", ClientId: "id", ClientSecret: "secret",
			AuthURL: provider.URL, TokenURL: provider.URL + "/token", UserInfoURL: provider.URL,
		}}
		users.Fields.GetByName(core.FieldNamePassword).(*core.PasswordField).Cost = 4 // a fast hash
		users.Fields.Add(&core.TextField{Name: "note", Hidden: true}, &core.TextField{Name: "bio", Max: 100_000})
	})
	bind(app)
	r, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	mux, err := r.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *site) changeUsers(change func(users *core.Collection)) {
	s.t.Helper()
	users, err := s.app.FindCollectionByNameOrId("users")
	if err != nil {
		s.t.Fatal(err)
	}
	change(users)
	if err := s.app.Save(users); err != nil {
		s.t.Fatal(err)
	}
}

// user makes a user behind the back of the notebook.
func (s *site) user(email string, verified bool) *core.Record {
	s.t.Helper()
	users, err := s.app.FindCollectionByNameOrId("users")
	if err != nil {
		s.t.Fatal(err)
	}
	record := core.NewRecord(users)
	record.SetEmail(email)
	record.SetVerified(verified)
	record.SetPassword(testPassword)
	record.Set("note", "hidden-note")
	if err := s.app.Save(record); err != nil {
		s.t.Fatal(err)
	}
	s.notebook.take()
	return record
}

func (s *site) fresh(record *core.Record) *core.Record {
	s.t.Helper()
	found, err := s.app.FindRecordById(record.Collection(), record.Id)
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// sent waits until the mail with a one-time password is out: only then PocketBase
// knows whose address it proves.
func (s *site) sent(otpID any) {
	s.t.Helper()
	id, _ := otpID.(string)
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(time.Millisecond) {
		if otp, err := s.app.FindOTPById(id); err == nil && otp.SentTo() != "" {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the mail of the one-time password %s was not sent", id)
		}
	}
}

func (s *site) token(record *core.Record) string {
	s.t.Helper()
	token, err := record.NewAuthToken()
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// call requests a path of the collection users, or any that begins with /.
func (s *site) call(method, path, token string, body any) (status int, answer map[string]any) {
	s.t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.HasPrefix(path, "/") {
		path = "/api/collections/users/" + path
	}
	request, err := http.NewRequest(method, s.url+path, strings.NewReader(string(encoded)))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = json.Unmarshal(content, &answer)
	return response.StatusCode, answer
}

func types(events []noted) []string {
	found := []string{}
	for _, e := range events {
		found = append(found, e.Type)
	}
	return found
}
