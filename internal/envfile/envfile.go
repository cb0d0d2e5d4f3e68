// Package envfile changes single variables of a .env file and leaves everything
// else as it is: other lines, comments, their order, line ends.
//
// It is no dotenv reader: it expands nothing, and knows only as much of the format
// as it needs to find an assignment.
//
//	value, ok := envfile.Get(content, "VITE_PICOBASE_URL")
//	content = envfile.Set(content, "VITE_PICOBASE_URL", "http://127.0.0.1:8090")
package envfile

import (
	"regexp"
	"strings"
)

// assignment is a line that sets a variable: what comes before the value, the name
// in it, and the value with all that follows.
var assignment = regexp.MustCompile(`^(\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=[ \t]*)(.*)$`)

// Get returns the value of the variable, without its quotes. The last assignment
// counts, as everywhere.
func Get(content, name string) (value string, ok bool) {
	lines := strings.SplitAfter(content, "\n")
	at, last := find(lines, name)
	if at < 0 {
		return "", false
	}
	value, _ = split(rest(strings.Join(lines[at:last+1], "")))
	return unquote(value), true
}

// Set returns the content with the variable set to value, which must hold neither
// quotes nor line ends. An assignment is changed in its place, with the comment
// behind it kept; a new one is appended.
func Set(content, name, value string) string {
	lines := strings.SplitAfter(content, "\n")
	if strings.ContainsAny(value, " #$") {
		value = "'" + value + "'"
	}
	at, last := find(lines, name)
	if at < 0 {
		end := "\n"
		if strings.Contains(content, "\r\n") {
			end = "\r\n"
		}
		if content != "" && !strings.HasSuffix(content, "\n") {
			content += end
		}
		return content + name + "=" + value + end
	}
	whole := strings.Join(lines[at:last+1], "")
	before := assignment.FindStringSubmatch(firstLine(whole))[1]
	_, after := split(rest(whole))
	lines[at] = before + value + after
	return strings.Join(append(lines[:at+1], lines[last+1:]...), "")
}

// find returns the first and the last line of the last assignment of the variable,
// or -1.
func find(lines []string, name string) (at, last int) {
	at = -1
	for i := 0; i < len(lines); i++ {
		parts := assignment.FindStringSubmatch(firstLine(lines[i]))
		if parts == nil {
			continue
		}
		begin := i
		// A value in quotes may go on: what looks like an assignment there is none.
		if quote := openQuote(parts[3]); quote != "" {
			for end := i + 1; end < len(lines); end++ {
				if strings.Contains(lines[end], quote) {
					i = end
					break
				}
			}
		}
		if parts[2] == name {
			at, last = begin, i
		}
	}
	return at, last
}

// openQuote returns the quote that begins the value and does not end in its line.
func openQuote(value string) string {
	if !quoted(value) || strings.Contains(value[1:], value[:1]) {
		return ""
	}
	return value[:1]
}

func quoted(value string) bool { return value != "" && strings.IndexByte("\"'`", value[0]) >= 0 }

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r")
}

// rest returns what follows the = of an assignment, with its line end.
func rest(whole string) string {
	return whole[len(assignment.FindStringSubmatch(firstLine(whole))[1]):]
}

// split parts the value from the blanks, the comment and the line end behind it.
func split(text string) (value, after string) {
	if quoted(text) {
		if end := strings.Index(text[1:], text[:1]); end >= 0 {
			return text[:end+2], text[end+2:]
		}
	}
	end := strings.IndexAny(text, "\r\n")
	if end < 0 {
		end = len(text)
	}
	if comment := strings.Index(text[:end], " #"); comment >= 0 {
		end = comment
	} else if strings.HasPrefix(text, "#") {
		end = 0
	}
	value = strings.TrimRight(text[:end], " \t")
	return value, text[len(value):]
}

func unquote(value string) string {
	if len(value) >= 2 && quoted(value) && value[len(value)-1] == value[0] {
		return value[1 : len(value)-1]
	}
	return value
}
