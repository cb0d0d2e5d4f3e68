package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

const (
	// Tokens of a platform hold for five minutes, and signatures of webhooks too.
	clockWarning = 30 * time.Second
	clockLimit   = 4 * time.Minute
)

// checkServer examines what a command would talk to. It returns its version.
func checkServer(ctx context.Context, c *Client, target Target, o doctorOptions) (version string, findings []finding) {
	// Without the key: whether that is good is the next question.
	anybody := *c
	anybody.key, anybody.bearer = "", nil
	began := time.Now()
	report, date, err := fetchHealth(ctx, &anybody)
	if err != nil {
		fix := hint(err, "See the log of the server.")
		if target.platform != nil {
			fix = "See picobase status, and picobase projects start."
		}
		return "", []finding{{"reachability", failed, message(err), fix}}
	}
	took := time.Since(began)
	reached := finding{Check: "reachability", Status: passed, Message: fmt.Sprintf("it answers, in %d ms, and is well", took.Milliseconds())}
	if troubles := report.troubles(); len(troubles) > 0 {
		reached.Status, reached.Message = warned, "it answers, and is not well: "+strings.Join(troubles, ", ")
		reached.Fix = "See the guides on observability and backups, and the log of the server."
	}
	findings = append(findings, reached, checkAccess(ctx, c, target))
	if c.local {
		return report.Version, findings
	}
	return report.Version, append(findings,
		checkCORS(ctx, target.URL, o.Origin),
		checkClock(date, began.Add(took/2)),
		checkVersion(report.Version, o.Version),
	)
}

// checkAccess makes sure that the server takes the key, or the platform's token.
func checkAccess(ctx context.Context, c *Client, target Target) finding {
	err := checkKey(ctx, c)
	if err == nil {
		return finding{Check: "key", Status: passed, Message: "the server lets these commands in"}
	}
	fix := "Create another secret key: picobase keys create --kind secret, on the machine of the server with --dir."
	if target.platform != nil {
		fix = "Restart the project, so that it has the present key of the platform: picobase projects restart."
	}
	return finding{"key", failed, message(err), fix}
}

// checkCORS asks as a browser would before it lets a page call.
func checkCORS(ctx context.Context, base, origin string) finding {
	const name = "cors"
	if origin == "" {
		return finding{Check: name, Status: skipped, Message: "no --origin is given"}
	}
	page, err := serverURL(origin)
	if err != nil {
		return finding{name, failed, message(err), "Give --origin as scheme, host and port: http://localhost:5173"}
	}
	c, err := NewClient(base, "", nil)
	if err != nil {
		return finding{name, failed, message(err), "Give the URL of the server."}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := c.exchange(ctx, http.MethodOptions, "/api/collections/users/records", call{header: http.Header{
		"Origin":                         {page},
		"Access-Control-Request-Method":  {http.MethodPost},
		"Access-Control-Request-Headers": {"authorization,content-type,x-api-key"},
	}})
	if err != nil {
		return finding{name, failed, message(err), hint(err, "See the log of the server.")}
	}
	defer response.Body.Close()
	allowed := response.Header.Get("Access-Control-Allow-Origin")
	headers := strings.ToLower(strings.Join(response.Header.Values("Access-Control-Allow-Headers"), ","))
	switch {
	case allowed != page && allowed != "*":
		return finding{
			name, failed, "pages at " + page + " may not call the API",
			`Add the origin: picobase settings patch '{"cors":{"origins":["` + page + `"]}}' replaces the list, so name the others too.`,
		}
	case !strings.Contains(headers, "x-api-key"):
		return finding{name, failed, "pages may not send X-API-Key", "Something in front of the server answers OPTIONS itself: let it pass them on."}
	}
	return finding{Check: name, Status: passed, Message: "pages at " + page + " may call the API"}
}

// checkClock compares this machine's clock with the server's, which tells seconds.
func checkClock(date string, now time.Time) finding {
	const name = "clock"
	theirs, err := http.ParseTime(date)
	if err != nil {
		return finding{Check: name, Status: skipped, Message: "the server does not tell its time"}
	}
	// The header is cut to the second.
	skew := now.Sub(theirs.Add(time.Second / 2)).Round(time.Second)
	text := fmt.Sprintf("this machine's clock is %s ahead of the server's", skew)
	if skew < 0 {
		text = fmt.Sprintf("this machine's clock is %s behind the server's", -skew)
	}
	fix := "Let both machines get the time by NTP: timedatectl set-ntp true, or the settings of the system."
	switch {
	case skew.Abs() >= clockLimit:
		return finding{name, failed, text, fix}
	case skew.Abs() >= clockWarning:
		return finding{name, warned, text, fix}
	}
	return finding{Check: name, Status: passed, Message: "this machine's clock and the server's agree"}
}

// checkVersion compares this binary with the server.
func checkVersion(server, own string) finding {
	const name = "version"
	text := fmt.Sprintf("this is picobase %s, the server %s", own, server)
	order, err := compareVersions(own, server)
	switch {
	case err != nil:
		return finding{Check: name, Status: skipped, Message: text + ": no releases to compare"}
	case order < 0:
		return finding{name, warned, text, "Update this binary: it may not know what the server answers."}
	case order > 0:
		return finding{name, warned, text, "Update the server: it may not know what this binary asks for."}
	}
	return finding{Check: name, Status: passed, Message: text}
}

var errNoRelease = errors.New("no release")

// compareVersions compares the parts of two releases that may break something: major
// and minor.
func compareVersions(a, b string) (int, error) {
	a, b = "v"+strings.TrimPrefix(a, "v"), "v"+strings.TrimPrefix(b, "v")
	if !semver.IsValid(a) || !semver.IsValid(b) {
		return 0, errNoRelease
	}
	return semver.Compare(semver.MajorMinor(a), semver.MajorMinor(b)), nil
}
