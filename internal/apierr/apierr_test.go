package apierr

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	shared := New(http.StatusTooManyRequests, "rate_limited", "Slow down.")
	sent := shared.WithDetail("limit", "key").WithRetryAfter(1100 * time.Millisecond).WithCause(io.ErrUnexpectedEOF)
	recorder := httptest.NewRecorder()
	if err := Write(recorder, httptest.NewRequest(http.MethodGet, "/", nil), sent); err != nil {
		t.Fatal(err)
	}
	const want = `{"error":{"code":"rate_limited","message":"Slow down.","details":{"limit":"key"}},"status":429,"message":"Slow down.","data":{"limit":"key"}}` + "\n"
	if recorder.Body.String() != want || recorder.Header().Get("Retry-After") != "2" || recorder.Code != 429 {
		t.Errorf("%d %v %s", recorder.Code, recorder.Header(), recorder.Body)
	}
	if shared.Details != nil || shared.RetryAfter != 0 || errors.Unwrap(shared) != nil {
		t.Error("the shared error changed")
	}
	if !errors.Is(sent, shared) || !errors.Is(sent, io.ErrUnexpectedEOF) {
		t.Error("a copy is not its original")
	}
}

func TestWriteHasNoBodyForHead(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	if err := Write(recorder, httptest.NewRequest(http.MethodHead, "/", nil), New(404, "x", "x")); err != nil || recorder.Body.Len() > 0 {
		t.Errorf("%v %s", err, recorder.Body)
	}
}

func TestBodyNeverHasNull(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(New(404, "x", "x").Body())
	if err != nil || string(encoded) != `{"error":{"code":"x","message":"x","details":{}},"status":404,"message":"x","data":{}}` {
		t.Errorf("%s, %v", encoded, err)
	}
}
