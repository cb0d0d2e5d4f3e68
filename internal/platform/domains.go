package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
	"golang.org/x/net/idna"
	"golang.org/x/sync/errgroup"
)

// Resolver looks up records by which a domain is verified.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// States of a domain.
const (
	pending  = "pending"  // the records are not there yet
	verified = "verified" // it is in the table of routes
	failed   = "failed"   // it was verified and the records are gone, or it is another project's now
)

const (
	// domainInterval is how often domains that wait are looked at by themselves.
	domainInterval = time.Minute

	// domainPatience is how long that goes on after the domain was added.
	domainPatience = 72 * time.Hour

	lookupTimeout = 10 * time.Second
	lookupsAtOnce = 16
	maxDomains    = 50
)

func (p *Platform) bindDomains(api *router.RouterGroup[*core.RequestEvent]) {
	g := api.Group("/projects/{id}/domains")
	g.GET("", p.listDomains)
	g.POST("", p.addDomain)
	g.POST("/{domain}/verify", p.verifyDomain)
	g.DELETE("/{domain}", p.removeDomain)
}

type domainView struct {
	ID       string       `json:"id"`
	Name     string       `json:"name"`
	Status   string       `json:"status"`
	Message  string       `json:"message"`
	Checked  string       `json:"checked,omitempty"`
	Verified string       `json:"verified,omitempty"`
	Records  []recordView `json:"records"` // one of them is enough to verify
}

type recordView struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (p *Platform) domainView(record *core.Record) domainView {
	name := record.GetString("name")
	return domainView{
		ID: record.Id, Name: name, Status: record.GetString("status"), Message: record.GetString("message"),
		Checked: record.GetDateTime("checked").String(), Verified: record.GetDateTime("verified").String(),
		Records: []recordView{
			{"TXT", challengeName(name), record.GetString("token")},
			{"CNAME", name, p.proofHost(record.GetString("project"))},
		},
	}
}

// proofHost is what a domain's CNAME names to be the project's. It is made of the id,
// which is nobody else's for ever: a name is free again after a rename, and whoever
// took it would have the domains that still point at it.
func (p *Platform) proofHost(project string) string { return p.hostOf(project) }

func challengeName(domain string) string { return "_picobase." + domain }

// checkDomainName returns the name as routers compare it.
func (p *Platform) checkDomainName(text string) (string, error) {
	name, err := idna.Lookup.ToASCII(strings.TrimSuffix(strings.TrimSpace(text), "."))
	switch {
	case err != nil, !hostForm.MatchString(name), len(name) > 240:
		return "", apierr.Invalid("name", "must be a domain such as api.example.com.")
	case net.ParseIP(name) != nil:
		return "", apierr.Invalid("name", "must be a domain, not an address.")
	case !strings.Contains(name, "."):
		return "", apierr.Invalid("name", "must have a dot: only whole domains can be verified.")
	case p.isOwn(name) || strings.HasSuffix(name, "."+p.cfg.BaseDomain):
		return "", apierr.Invalid("name", "is below the platform's own domain; rename the project instead.")
	}
	return name, nil
}

func (p *Platform) listDomains(e *core.RequestEvent) error {
	project, err := p.project(e, viewer)
	if err != nil {
		return httpapi.Failure(err)
	}
	records, err := p.App.FindAllRecords(schema.Domains, dbx.HashExp{"project": project.Id})
	if err != nil {
		return httpapi.Failure(err)
	}
	items := []domainView{}
	for _, record := range records {
		items = append(items, p.domainView(record))
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items})
}

func (p *Platform) addDomain(e *core.RequestEvent) error {
	project, err := p.project(e, developer)
	if err != nil {
		return httpapi.Failure(err)
	}
	var in struct {
		Name string `json:"name"`
	}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	name, err := p.checkDomainName(in.Name)
	if err != nil {
		return httpapi.Failure(err)
	}
	var record *core.Record
	err = p.App.RunInTransaction(func(tx core.App) error {
		present, err := tx.FindAllRecords(schema.Domains, dbx.HashExp{"project": project.Id})
		if err != nil {
			return err
		}
		if len(present) >= maxDomains {
			return errQuota.WithMessage(fmt.Sprintf("A project has at most %d domains.", maxDomains)).WithDetail("quota", "domains")
		}
		if slices.ContainsFunc(present, func(r *core.Record) bool { return r.GetString("name") == name }) {
			return errDomainTaken
		}
		collection, err := tx.FindCachedCollectionByNameOrId(schema.Domains)
		if err != nil {
			return err
		}
		record = core.NewRecord(collection)
		record.Set("project", project.Id)
		record.Set("name", name)
		record.Set("token", "picobase-"+randomText())
		record.Set("status", pending)
		record.Set("message", "Add one of the records at your DNS provider.")
		if err := tx.Save(record); err != nil {
			return err
		}
		return p.record(tx, e, act{project.GetString("organization"), project.Id, "domain.added", map[string]any{"name": name}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusCreated, p.domainView(record))
}

// domain returns the domain in the path.
func (p *Platform) domain(e *core.RequestEvent, project *core.Record) (*core.Record, error) {
	record, err := p.App.FindRecordById(schema.Domains, e.Request.PathValue("domain"))
	if err != nil || record.GetString("project") != project.Id {
		return nil, errDomainNotFound.WithCause(err)
	}
	return record, nil
}

func (p *Platform) verifyDomain(e *core.RequestEvent) error {
	project, err := p.project(e, developer)
	if err != nil {
		return httpapi.Failure(err)
	}
	record, err := p.domain(e, project)
	if err != nil {
		return httpapi.Failure(err)
	}
	if err := p.check(e.Request.Context(), e, record, project); err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, p.domainView(record))
}

func (p *Platform) removeDomain(e *core.RequestEvent) error {
	project, err := p.project(e, developer)
	if err != nil {
		return httpapi.Failure(err)
	}
	record, err := p.domain(e, project)
	if err != nil {
		return httpapi.Failure(err)
	}
	err = p.App.RunInTransaction(func(tx core.App) error {
		if err := tx.Delete(record); err != nil {
			return err
		}
		return p.record(tx, e, act{project.GetString("organization"), project.Id, "domain.removed", map[string]any{"name": record.GetString("name")}})
	})
	if err != nil {
		return httpapi.Failure(err)
	}
	if err := p.reroute(project.Id); err != nil {
		return httpapi.Failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}

// check looks at the DNS records of a domain and stores what it finds.
func (p *Platform) check(ctx context.Context, e *core.RequestEvent, record, project *core.Record) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	name := record.GetString("name")
	problem := p.proof(ctx, name, record.GetString("token"), p.proofHost(project.Id))
	record.Set("checked", p.cfg.Now())
	if problem != "" {
		// One that is verified stays: a DNS server that is away for a moment must not
		// take a site down.
		if record.GetString("status") != verified {
			record.Set("message", problem)
		}
		return p.App.Save(record)
	}
	if record.GetString("status") == verified {
		return p.App.Save(record)
	}
	var loser string
	err := p.App.RunInTransaction(func(tx core.App) error {
		// Whoever controls the domain now has it: the proof is newer.
		other, err := tx.FindFirstRecordByFilter(schema.Domains, "name = {:n} && status = 'verified'", dbx.Params{"n": name})
		if err == nil {
			loser = other.GetString("project")
			other.Set("status", failed)
			other.Set("message", "Another project has proved that the domain is its own. Verify it again to take it back.")
			if err := tx.Save(other); err != nil {
				return err
			}
		}
		record.Set("status", verified)
		record.Set("message", "Verified.")
		record.Set("verified", p.cfg.Now())
		if err := tx.Save(record); err != nil {
			return err
		}
		return p.record(tx, e, act{project.GetString("organization"), project.Id, "domain.verified", map[string]any{"name": name}})
	})
	if err != nil {
		return err
	}
	if loser != "" {
		if err := p.reroute(loser); err != nil {
			return err
		}
	}
	return p.reroute(project.Id)
}

// proof returns why the domain is not proved to be the project's, or nothing.
func (p *Platform) proof(ctx context.Context, name, token, target string) string {
	values, txtErr := p.cfg.Resolver.LookupTXT(ctx, challengeName(name))
	if slices.Contains(values, token) {
		return ""
	}
	cname, cnameErr := p.cfg.Resolver.LookupCNAME(ctx, name)
	cname = strings.ToLower(strings.TrimSuffix(cname, "."))
	if cnameErr == nil && cname == target {
		return ""
	}
	var message string
	switch {
	case len(values) > 0:
		message = fmt.Sprintf("The TXT record %s has another value than this project's.", challengeName(name))
	case txtErr != nil && !isNotFound(txtErr):
		message = "The DNS does not answer: " + reason(txtErr) + "."
	default:
		message = fmt.Sprintf("There is no TXT record %s.", challengeName(name))
	}
	if cnameErr == nil && cname != "" && cname != name {
		message += fmt.Sprintf(" %s is a CNAME of %s, not of %s.", name, cname, target)
	}
	return message + " Changes of DNS may take an hour to be seen."
}

// reason leaves out which server was asked: that is the operator's.
func reason(err error) string {
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		return dns.Err
	}
	return err.Error()
}

func isNotFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// checkDomains looks at the domains that wait to be verified.
func (p *Platform) checkDomains(ctx context.Context) error {
	records, err := p.App.FindAllRecords(schema.Domains, dbx.HashExp{"status": pending},
		dbx.NewExp("created > {:t}", dbx.Params{"t": dateText(p.cfg.Now().Add(-domainPatience))}))
	if err != nil {
		return err
	}
	// Many at once and each for itself: one whose DNS does not answer, or that is
	// removed meanwhile, must not keep the others.
	var group errgroup.Group
	group.SetLimit(lookupsAtOnce)
	problems := make([]error, len(records))
	for i, record := range records {
		group.Go(func() error {
			problems[i] = p.checkOne(ctx, record)
			return nil
		})
	}
	return errors.Join(group.Wait(), errors.Join(problems...))
}

func (p *Platform) checkOne(ctx context.Context, record *core.Record) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	project, err := p.App.FindRecordById(schema.Projects, record.GetString("project"))
	if err == nil {
		err = p.check(ctx, nil, record, project)
	}
	if err != nil {
		return fmt.Errorf("domain %s: %w", record.GetString("name"), err)
	}
	return nil
}
