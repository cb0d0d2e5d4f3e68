package tenant

import (
	"strings"
	"testing"
)

// Only a log that something else shortens may grow beyond SQLite's default.
func TestAutomaticCheckpoints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  Config
		path string
		left bool // to the replica
	}{
		{"replicated", Config{}, "/srv/data.db", true},
		{"not replicated", Config{NoReplication: true}, "/srv/data.db", false},
		{"logs are never replicated", Config{}, "/srv/auxiliary.db", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := dsn(tt.cfg, tt.path)
			if !strings.HasPrefix(name, tt.path+"?") || strings.Contains(name, "wal_autocheckpoint") != tt.left {
				t.Errorf("opened as %s", name)
			}
		})
	}
}
