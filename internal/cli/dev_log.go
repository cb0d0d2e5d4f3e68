package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// logLine is one entry of the server's log.
type logLine struct {
	level, message string
	attributes     []attribute // by name
}

type attribute struct{ name, value string }

// parseLog reads a line that slog has written as JSON.
func parseLog(line []byte) (logLine, bool) {
	var fields map[string]json.RawMessage
	if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &fields) != nil || fields["msg"] == nil || fields["level"] == nil {
		return logLine{}, false
	}
	entry := logLine{level: plainJSON(fields["level"]), message: plainJSON(fields["msg"])}
	for name, value := range fields {
		if name != "time" && name != "level" && name != "msg" {
			entry.attributes = append(entry.attributes, attribute{name, plainJSON(value)})
		}
	}
	slices.SortFunc(entry.attributes, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	return entry, true
}

// plainJSON returns texts without quotes, and anything else as it is.
func plainJSON(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

func (l logLine) attribute(name string) string {
	for _, a := range l.attributes {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// String returns the entry for a person.
func (l logLine) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%-5s %s", l.level, l.message)
	for _, a := range l.attributes {
		if a.value != "" {
			fmt.Fprintf(&text, " %s=%s", a.name, a.value)
		}
	}
	return printable(text.String())
}
