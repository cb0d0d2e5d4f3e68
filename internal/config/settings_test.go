package config

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/apierr"
)

func TestDefaultIsValid(t *testing.T) {
	t.Parallel()
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestPatch(t *testing.T) {
	t.Parallel()
	current := Default()
	next, err := current.Patch([]byte(`{"cors":{"origins":["https://a.example.com","https://*.b.example.com:8443","http://localhost:3000"],"credentials":true},"rateLimits":{"perIP":{"burst":7}},"ipAllowlist":{"enabled":true,"cidrs":["10.0.0.1","2001:db8::/32"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if next.RateLimits.PerIP != (RateLimit{Rate: 100, Burst: 7}) || next.RateLimits.PerKey != current.RateLimits.PerKey {
		t.Errorf("limits %+v", next.RateLimits)
	}
	if !reflect.DeepEqual(current, Default()) {
		t.Error("the patch changed the settings in use")
	}
	again, err := next.Patch([]byte(`{"cors":{"credentials":false,"origins":["*"]}}`))
	if err != nil || len(again.CORS.Origins) != 1 || len(next.CORS.Origins) != 3 {
		t.Errorf("lists are replaced: %v, %v, %v", again, next.CORS, err)
	}
	encoded, err := json.Marshal(next)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := Parse(append(encoded[:len(encoded)-1], `,"future":1}`...))
	if err != nil || !reflect.DeepEqual(stored, next) {
		t.Errorf("stored and read again: %+v, %v", stored, err)
	}
}

func TestPatchNamesTheField(t *testing.T) {
	t.Parallel()
	for patch, field := range map[string]string{
		`{"nope":1}`:                                              "nope",
		`{"cors":{"nope":1}}`:                                     "nope",
		`{"cors":{"maxAge":"1"}}`:                                 "cors.maxAge",
		`{"cors":{"maxAge":-1}}`:                                  "cors.maxAge",
		`{"cors":{"maxAge":90000}}`:                               "cors.maxAge",
		`{"cors":{"origins":["https://*"]}}`:                      "cors.origins",
		`{"cors":{"origins":["https://*example.com"]}}`:           "cors.origins",
		`{"cors":{"origins":["https://a.*.com"]}}`:                "cors.origins",
		`{"cors":{"origins":["https://a.com/x"]}}`:                "cors.origins",
		`{"cors":{"origins":["ftp://a.com"]}}`:                    "cors.origins",
		`{"cors":{"origins":["null"]}}`:                           "cors.origins",
		`{"cors":{"credentials":true}}`:                           "cors.credentials",
		`{"ipAllowlist":{"enabled":true}}`:                        "ipAllowlist.cidrs",
		`{"ipAllowlist":{"cidrs":["10.0.0.0/33"]}}`:               "ipAllowlist.cidrs",
		`{"ipAllowlist":{"trustedProxies":["proxy"]}}`:            "ipAllowlist.trustedProxies",
		`{"rateLimits":{"perKey":{"rate":0}}}`:                    "rateLimits.perKey.rate",
		`{"rateLimits":{"perIP":{"burst":0}}}`:                    "rateLimits.perIP.burst",
		`{"usage":{"retentionDays":0}}`:                           "usage.retentionDays",
		`{"audit":{"retentionDays":29}}`:                          "audit.retentionDays",
		`{"backups":{"replication":{"intervalMs":99}}}`:           "backups.replication.intervalMs",
		`{"backups":{"replication":{"retentionDays":91}}}`:        "backups.replication.retentionDays",
		`{"backups":{"snapshots":{"schedule":"daily"}}}`:          "backups.snapshots.schedule",
		`{"backups":{"snapshots":{"schedule":"* * * * * *"}}}`:    "backups.snapshots.schedule",
		`{"backups":{"snapshots":{"timeZone":"Mars/Olympus"}}}`:   "backups.snapshots.timeZone",
		`{"backups":{"snapshots":{"keep":0}}}`:                    "backups.snapshots.keep",
		`{"backups":{"snapshots":{"keepDays":0}}}`:                "backups.snapshots.keepDays",
		`{"backups":{"drill":{"schedule":"CRON_TZ=UTC @daily"}}}`: "backups.drill.schedule",
		`{"jshooks":{"timeoutMs":9}}`:                             "jshooks.timeoutMs",
		`{"jshooks":{"timeoutMs":30001}}`:                         "jshooks.timeoutMs",
		`{"jshooks":{"memoryMB":15}}`:                             "jshooks.memoryMB",
		`{"jshooks":{"allowedPrivateHosts":["http://x"]}}`:        "jshooks.allowedPrivateHosts",
		`{"jshooks":{"allowedPrivateHosts":["10.0.0.300"]}}`:      "jshooks.allowedPrivateHosts",
		`{"jshooks":{"maxVMs":0}}`:                                "jshooks.maxVMs",
		`{"jshooks":{"logRetentionDays":91}}`:                     "jshooks.logRetentionDays",
		`{"auth":{"redirectURLs":["app"]}}`:                       "auth.redirectURLs",
		`{"auth":{"redirectURLs":["https://*.example.com/"]}}`:    "auth.redirectURLs",
		`{"auth":{"redirectURLs":["https://example.com*"]}}`:      "auth.redirectURLs",
	} {
		_, err := Default().Patch([]byte(patch))
		var invalid *apierr.Error
		if !errors.As(err, &invalid) || !strings.HasPrefix(invalid.Message, field+": ") || invalid.Details[field] == nil {
			t.Errorf("%s: %v, want an error that names %s", patch, err, field)
		}
	}
	for _, broken := range []string{"", "[]", "7", `{`, `{}{}`, `{"cors":null} x`} {
		if _, err := Default().Patch([]byte(broken)); err == nil {
			t.Errorf("accepted %q", broken)
		}
	}
}

func FuzzPatch(f *testing.F) {
	f.Add([]byte(`{"cors":{"origins":["*"]}}`))
	f.Add([]byte(`{"ipAllowlist":{"cidrs":["::1"],"enabled":true}}`))
	f.Fuzz(func(t *testing.T, patch []byte) {
		next, err := Default().Patch(patch)
		if err == nil && next.Validate() != nil {
			t.Errorf("accepted settings that are not valid: %s", patch)
		}
	})
}
