package platform

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/pocketbase/pocketbase/tools/security"
)

// Projects are named by one label of a host name.
var nameForm = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

const (
	minName = 2
	maxName = 63
)

// reserved names are what a stranger would take for the platform itself, and what
// mail and certificates trust.
var reserved = strings.Fields(`
	abuse account accounts acme admin administrator admins alerts api apis assets auth backup backups billing blog
	cdn cert certificates console contact dashboard dns docs domain domains example ftp git help hostmaster imap info
	internal invite localhost login logout mail mx news ns ns1 ns2 noc noreply oauth ops org pay payments pico picobase
	platform pop pop3 postmaster privacy proxy public registry root router routes secure security signin signup smtp
	ssl static status superuser support sys system team teams terms tls token tokens usage
	webhook webhooks webmaster webmail well-known wpad www www1 www2 xn`)

// checkName says what is wrong with a project's name.
func checkName(name string) *apierr.Error {
	switch {
	case len(name) < minName || len(name) > maxName || !nameForm.MatchString(name):
		return apierr.Invalid("name", fmt.Sprintf("must be %d to %d characters of a-z, 0-9 and -, begin with a letter and not end with -: it becomes part of a host name.", minName, maxName))
	case len(name) >= 4 && name[2:4] == "--":
		// xn-- is another name in disguise, and all of its kind are reserved.
		return apierr.Invalid("name", "must not have -- in the third and fourth place; international names (xn--) are not taken.")
	case slices.Contains(reserved, name):
		return apierr.Invalid("name", "is reserved; choose another one.")
	}
	return nil
}

// checkName says what is wrong with a project's name on this platform.
func (p *Platform) checkName(name string) *apierr.Error {
	if wrong := checkName(name); wrong != nil {
		return wrong
	}
	if p.isOwn(p.hostOf(name)) {
		return apierr.Invalid("name", "is reserved; choose another one.")
	}
	return nil
}

const (
	idLength   = 15
	idAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
)

func newID() string { return security.RandomStringWithAlphabet(idLength, idAlphabet) }

// randomText is for secrets: 190 bits of base62.
func randomText() string {
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return security.RandomStringWithAlphabet(32, base62)
}

// randomCode is for people to type: no vowels, so that it makes no words, and no
// letters that look like others.
func randomCode() string {
	const alphabet = "BCDFGHJKMPQRTVWXY346789"
	code := make([]byte, 8)
	_, _ = rand.Read(code) // never fails, see its documentation
	for i := range code {
		code[i] = alphabet[int(code[i])%len(alphabet)]
	}
	return string(code[:4]) + "-" + string(code[4:])
}

var hostForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// checkDomain returns the scheme and the host, with its port, of the platform.
func checkDomain(base, public string) (scheme, host string, err error) {
	if !hostForm.MatchString(base) || net.ParseIP(base) != nil || len(base) > 190 {
		return "", "", fmt.Errorf("the base domain %q is not a host name in lower case", base)
	}
	u, err := url.Parse(public)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return "", "", fmt.Errorf("the platform's URL %q is not http(s)://host[:port]", public)
	}
	return u.Scheme, u.Host, nil
}

// isOwn reports whether the platform itself is at that host.
func (p *Platform) isOwn(host string) bool { return slices.Contains(p.ownHosts(), host) }

// ownHosts are where people reach the platform.
func (p *Platform) ownHosts() []string {
	public, _, err := net.SplitHostPort(p.host)
	if err != nil {
		public = p.host
	}
	if public == p.cfg.BaseDomain {
		return []string{public}
	}
	return []string{p.cfg.BaseDomain, public}
}

// hostOf is where the router finds the project of that name.
func (p *Platform) hostOf(name string) string { return name + "." + p.cfg.BaseDomain }

// urlOf is where people find it.
func (p *Platform) urlOf(name string) string {
	_, port, err := net.SplitHostPort(p.host)
	if err != nil {
		return p.scheme + "://" + p.hostOf(name)
	}
	return p.scheme + "://" + net.JoinHostPort(p.hostOf(name), port)
}

// URL is where people reach the platform.
func (p *Platform) URL() string { return strings.TrimSuffix(p.cfg.PublicURL, "/") }
