package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNeverPrinted(t *testing.T) {
	t.Parallel()
	s := New("hunter2")
	encoded, err := json.Marshal(map[string]any{"s": s, "p": &s})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "struct", struct{ S String }{s})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s)
	all := fmt.Sprintf("%s %v %+v %#v %q %x", s, s, struct{ S String }{s}, s, s, s) + string(encoded) + log.String()
	if strings.Contains(all, "hunter2") || strings.Contains(all, "68756e746572") {
		t.Errorf("printed: %s", all)
	}
	if s.Reveal() != "hunter2" {
		t.Error("lost")
	}
}

func TestFromEnv(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env   map[string]string
		want  string
		fails bool
	}{
		"unset":        {nil, "", false},
		"value":        {map[string]string{"X": "value"}, "value", false},
		"file":         {map[string]string{"X_FILE": file}, "from file", false},
		"both":         {map[string]string{"X": "value", "X_FILE": file}, "", true},
		"missing file": {map[string]string{"X_FILE": file + "x"}, "", true},
	} {
		lookup := func(name string) (string, bool) { v, ok := c.env[name]; return v, ok }
		got, err := FromEnv(lookup, "X")
		if (err != nil) != c.fails || got.Reveal() != c.want {
			t.Errorf("%s: %q, %v", name, got.Reveal(), err)
		}
	}
}
