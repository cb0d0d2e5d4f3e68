package access

import (
	"net/http"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

// ErrIPNotAllowed answers an address that the allowlist does not hold.
var ErrIPNotAllowed = apierr.New(http.StatusForbidden, "ip_not_allowed", "Requests from this address are not allowed.")

// ipAllowlist refuses addresses that are not in the list, while it is on.
// Probes pass, since orchestrators come from addresses that nobody can list,
// and so does the command line, which is the way back in.
func (p *Plugin) ipAllowlist(e *core.RequestEvent) error {
	policy := p.policy()
	if !policy.allowlistOn || isProbe(e) || isCommandLine(e) {
		return e.Next()
	}
	addr := clientAddr(e)
	if contains(policy.allowed, addr) {
		return e.Next()
	}
	p.refusedIPs.Inc()
	return httpapi.Error(ErrIPNotAllowed.
		WithMessage("Requests from "+addr.String()+" are not allowed. An owner can add the address to ipAllowlist.cidrs in the settings"+
			" (PATCH "+httpapi.PathPrefix+"/settings) from an allowed address or on the server's own command line.").
		WithDetail("ip", addr.String()))
}

// CheckLockout returns a validation error when the allowlist of next would turn
// away the caller who asks for it. The command line is never turned away.
func (p *Plugin) CheckLockout(e *core.RequestEvent, next *config.Settings) error {
	if !next.IPAllowlist.Enabled || isCommandLine(e) {
		return nil
	}
	policy := p.compile(next)
	addr := policy.addrUnder(e)
	if contains(policy.allowed, addr) {
		return nil
	}
	return apierr.Invalid("ipAllowlist.cidrs", "does not hold "+addr.String()+
		", the address of this very request: you would lock yourself out. Add it, or make the change on the server's own command line.")
}
