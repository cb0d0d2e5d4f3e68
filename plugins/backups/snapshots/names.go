package snapshots

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
)

const (
	maxName    = 150
	maxAppName = 50

	// autoPrefix begins the names of PocketBase's own scheduled backups.
	autoPrefix = "@auto_pb_backup_"
	prefix     = "pb_backup_"
)

// A leading dot would hide the file from a person who looks into the folder.
var namePattern = regexp.MustCompile(`(?i)^[a-z0-9_@-][a-z0-9_.@-]*\.zip$`)

func validName(id string) bool { return len(id) <= maxName && namePattern.MatchString(id) }

// defaultName returns the name that PocketBase would give, without ".zip".
func defaultName(kind Kind, app string, now time.Time) string {
	start := prefix
	if kind == Scheduled {
		start = autoPrefix
	}
	app = snakeCase(app)
	if app == "" {
		app = "app"
	}
	return fmt.Sprintf("%s%s_%s", start, app, now.UTC().Format("20060102150405"))
}

// snakeCase turns "Acme Shop" into acme_shop, keeping to the letters that a
// name may have.
func snakeCase(text string) string {
	var out strings.Builder
	var last rune
	for _, r := range text {
		switch {
		case r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r):
			r = '_'
		case unicode.IsUpper(r) && (unicode.IsLower(last) || unicode.IsDigit(last)):
			out.WriteByte('_')
		}
		if r != '_' || last != '_' {
			out.WriteRune(unicode.ToLower(r))
		}
		last = r
	}
	name := strings.Trim(out.String(), "_")
	if len(name) > maxAppName {
		name = strings.TrimRight(name[:maxAppName], "_")
	}
	return name
}
