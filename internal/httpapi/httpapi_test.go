package httpapi

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

func event(body string) *core.RequestEvent {
	e := &core.RequestEvent{}
	e.Request = httptest.NewRequest("POST", "/", strings.NewReader(body))
	return e
}

// ownError finds the error that a client is shown in PocketBase's.
func ownError(t *testing.T, err error) *apierr.Error {
	t.Helper()
	var native *router.ApiError
	if !errors.As(err, &native) {
		t.Fatalf("%v is not PocketBase's error", err)
	}
	own, ok := native.RawData().(*apierr.Error)
	if !ok || native.Status != own.Status || native.Message != own.Message {
		t.Fatalf("%+v does not carry its own error", native)
	}
	return own
}

func TestDecode(t *testing.T) {
	t.Parallel()
	type target struct {
		Name  string `json:"name"`
		Inner struct {
			Count int `json:"count"`
		} `json:"inner"`
		List []string `json:"list"`
	}
	for body, says := range map[string]string{
		``:                         "is empty",
		`{`:                        "not valid JSON",
		`[]`:                       "one JSON object",
		`{} {}`:                    "nothing after it",
		`{"nope":1}`:               "nope: ",
		`{"name":1}`:               "name: must be a string",
		`{"inner":{"count":"x"}}`:  "inner.count: must be a number",
		`{"list":{}}`:              "list: must be an array",
		`{"inner":[]}`:             "inner: must be an object",
		`{"inner":{"other":true}}`: "other: ",
	} {
		var into target
		own := ownError(t, Decode(event(body), &into))
		if own.Status != 400 || !strings.Contains(own.Message, says) {
			t.Errorf("%s: %d %q, want %q", body, own.Status, own.Message, says)
		}
	}
	kept := target{Name: "kept"}
	if err := Decode(event(`{"list":["a"]}`+"\n"), &kept); err != nil || kept.Name != "kept" || len(kept.List) != 1 {
		t.Errorf("%+v, %v", kept, err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	scopes, err := scope.Parse([]string{scope.Usage})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		caller Caller
		want   *apierr.Error // nil to pass
	}{
		"superuser":     {Caller{Kind: CallerSuperuser}, nil},
		"platform":      {Caller{Kind: CallerPlatform}, nil},
		"command line":  {Caller{Kind: CallerCommandLine}, nil},
		"key with it":   {Caller{Kind: CallerSecretKey, scopes: scopes}, nil},
		"user with key": {Caller{Kind: CallerUser, scopes: scopes}, nil},
		"publishable":   {Caller{Kind: CallerPublishable}, ErrSecretKeyRequired},
		"user":          {Caller{Kind: CallerUser}, ErrSecretKeyRequired},
		"nobody":        {Caller{Kind: CallerAnonymous}, ErrCredentialsRequired},
	} {
		if got := Check(c.caller, scope.Usage); (got == nil) != (c.want == nil) || got != nil && got.Code != c.want.Code {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := Check(Caller{Kind: CallerSecretKey, scopes: scopes}, scope.Logs); got == nil || got.Code != ErrScopeRequired.Code || got.Details["scope"] != scope.Logs {
		t.Errorf("key without it: %+v", got)
	}
}

// Nothing that a client sends makes it the command line.
func TestCommandLineComesFromTheContextAlone(t *testing.T) {
	t.Parallel()
	e := event("")
	if got := CallerOf(e).Kind; got != CallerAnonymous {
		t.Errorf("a plain request is %s", got)
	}
	e.Request = e.Request.WithContext(WithCommandLine(context.Background(), "ann"))
	if got := CallerOf(e); got.Kind != CallerCommandLine || got.Name != "ann" {
		t.Errorf("a command is %+v", got)
	}
}
