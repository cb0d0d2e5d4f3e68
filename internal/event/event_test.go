package event

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

type wire struct {
	Type      string
	Timestamp string
	Data      struct {
		Collection string
		Record     map[string]any
		Truncated  []string
		Changed    []string
	}
}

func decode(t *testing.T, e Event) (wire, int) {
	t.Helper()
	body, err := e.Body()
	if err != nil {
		t.Fatal(err)
	}
	var w wire
	if err := json.Unmarshal(body, &w); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return w, len(body)
}

func TestBody(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 1, 2, 3, 4, 5, 678e6, time.FixedZone("x", 3600))
	many := map[string]any{"id": "r1"}
	for i := range 2000 {
		many[fmt.Sprintf("field_with_a_long_name_%04d", i)] = i
	}
	for name, c := range map[string]struct {
		record    map[string]any
		truncated []string
	}{
		"small":       {map[string]any{"id": "r1", "name": "<Ann & Co>"}, nil},
		"one large":   {map[string]any{"id": "r1", "name": "Ann", "bio": strings.Repeat("x", MaxBody)}, []string{"bio"}},
		"two large":   {map[string]any{"id": "r1", "a": strings.Repeat("x", MaxBody), "b": strings.Repeat("x", 2*MaxBody)}, []string{"b", "a"}},
		"too many":    {many, []string{"*"}},
		"the smaller": {map[string]any{"id": "r1", "a": strings.Repeat("x", MaxBody/2), "b": strings.Repeat("x", MaxBody/2+100)}, []string{"b"}},
	} {
		w, size := decode(t, New(UserCreated, "users", "r1", map[string]any{"record": c.record}, at))
		if w.Type != UserCreated || w.Timestamp != "2027-01-02T02:04:05.678Z" || w.Data.Collection != "users" || w.Data.Record["id"] != "r1" {
			t.Errorf("%s: %+v", name, w)
		}
		if !reflect.DeepEqual(w.Data.Truncated, c.truncated) || size > MaxBody {
			t.Errorf("%s: truncated %v, %d bytes", name, w.Data.Truncated, size)
		}
		if name != "too many" && len(w.Data.Record)+len(c.truncated) != len(c.record) {
			t.Errorf("%s: fields are lost without a word: %v", name, w.Data.Record)
		}
	}
}

// The caller's data stays as it is.
func TestBodyChangesNothing(t *testing.T) {
	t.Parallel()
	record := map[string]any{"id": "r1", "bio": strings.Repeat("x", MaxBody)}
	data := map[string]any{"record": record}
	e := New(UserUpdated, "users", "r1", data, time.Now())
	for range 2 {
		if w, _ := decode(t, e); len(w.Data.Truncated) != 1 {
			t.Error(w.Data.Truncated)
		}
	}
	if len(data) != 1 || len(record) != 2 {
		t.Errorf("%v", data)
	}
}

func TestNewID(t *testing.T) {
	t.Parallel()
	last := ""
	for range 1000 {
		id := NewID()
		if strings.Contains(id, ".") || id <= last {
			t.Fatalf("%s after %s", id, last)
		}
		last = id
	}
}
