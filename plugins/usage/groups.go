package usage

import "strings"

// group is a route group: the coarse name under which a request is counted.
// The set is fixed, so that neither the table nor the metrics can be blown up
// by what clients ask for.
type group uint8

const (
	groupOther group = iota
	groupRecords
	groupAuth
	groupFiles
	groupRealtime
	groupBatch
	groupCollections
	groupSettings
	groupLogs
	groupBackups
	groupAPI
	groupDashboard

	groupCount = iota
)

var groupNames = [groupCount]string{
	groupOther:       "other",
	groupRecords:     "records",
	groupAuth:        "auth",
	groupFiles:       "files",
	groupRealtime:    "realtime",
	groupBatch:       "batch",
	groupCollections: "collections",
	groupSettings:    "settings",
	groupLogs:        "logs",
	groupBackups:     "backups",
	groupAPI:         "api",
	groupDashboard:   "dashboard",
}

func (g group) String() string { return groupNames[g] }

// groupTable maps route patterns to groups by their leading segments; the first
// entry that fits wins.
var groupTable = []struct {
	prefix string
	group  group
}{
	{"/api/collections/{collection}/records", groupRecords},
	{"/api/collections/{collection}/truncate", groupCollections},
	{"/api/collections/{collection}/", groupAuth}, // auth-*, request-*, confirm-*, impersonate
	{"/api/collections", groupCollections},
	{"/api/v1", groupAPI},
	{"/api/files", groupFiles},
	{"/api/realtime", groupRealtime},
	{"/api/batch", groupBatch},
	{"/api/oauth2-redirect", groupAuth},
	{"/api/settings", groupSettings},
	{"/api/logs", groupLogs},
	{"/api/backups", groupBackups},
	{"/_", groupDashboard},
	{"/_pico", groupDashboard},
}

// groupOf returns the group of a route pattern such as
// "GET /api/collections/{collection}/records". Requests without a route of
// their own have the pattern "/".
func groupOf(pattern string) group {
	if _, path, found := strings.Cut(pattern, " "); found {
		pattern = path
	}
	for i := range groupTable {
		entry := &groupTable[i]
		rest, found := strings.CutPrefix(pattern, entry.prefix)
		if found && (rest == "" || rest[0] == '/' || strings.HasSuffix(entry.prefix, "/")) {
			return entry.group
		}
	}
	return groupOther
}

// groupNamed is the inverse of String.
func groupNamed(name string) (group, bool) {
	for g, known := range groupNames {
		if known == name {
			return group(g), true
		}
	}
	return groupOther, false
}
