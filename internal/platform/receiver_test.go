package platform

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receiver takes webhooks with a valid signature.
type receiver struct {
	url, secret string

	mu       sync.Mutex
	received []string
	failing  int
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{secret: "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of the alerts' webhook."))}
	verifier, err := standardwebhooks.NewWebhook(r.secret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		if err := verifier.Verify(body, request.Header); err != nil {
			t.Errorf("signature: %v", err)
		}
		var event struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal(body, &event)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.failing > 0 {
			r.failing--
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		r.received = append(r.received, event.Type)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) fail(times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = times
}

func (r *receiver) types() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.received...)
}
