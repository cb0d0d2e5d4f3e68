package usage

import "testing"

func TestGroupOf(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"GET /api/collections/{collection}/records":             "records",
		"PATCH /api/collections/{collection}/records/{id}":      "records",
		"POST /api/collections/{collection}/auth-with-password": "auth",
		"POST /api/collections/{collection}/impersonate/{id}":   "auth",
		"GET /api/oauth2-redirect":                              "auth",
		"GET /api/collections":                                  "collections",
		"PATCH /api/collections/{collection}":                   "collections",
		"DELETE /api/collections/{collection}/truncate":         "collections",
		"GET /api/collections/meta/scaffolds":                   "collections",
		"GET /api/files/{collection}/{recordId}/{filename}":     "files",
		"POST /api/files/token":                                 "files",
		"GET /api/filesystem":                                   "other",
		"GET /api/realtime":                                     "realtime",
		"POST /api/batch":                                       "batch",
		"PATCH /api/settings":                                   "settings",
		"GET /api/logs/{id}":                                    "logs",
		"GET /api/backups/{key}":                                "backups",
		"GET /api/v1/usage":                                     "api",
		"GET /api/v10/mine":                                     "other",
		"GET /_/{path...}":                                      "dashboard",
		"GET /_pico/{path...}":                                  "dashboard",
		"GET /_private":                                         "other",
		"GET /api/health":                                       "other",
		"/":                                                     "other",
		"":                                                      "other",
	}
	for pattern, want := range cases {
		if got := groupOf(pattern).String(); got != want {
			t.Errorf("groupOf(%q) = %s, want %s", pattern, got, want)
		}
	}
}

func TestGroupNames(t *testing.T) {
	t.Parallel()
	for g := range group(groupCount) {
		if named, known := groupNamed(g.String()); g.String() == "" || !known || named != g {
			t.Errorf("group %d is named %q, which is group %d", g, g, named)
		}
	}
}
