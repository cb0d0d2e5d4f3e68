package platform

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// tarpit never answers for one domain.
type tarpit struct {
	Resolver
	name string
}

func (d tarpit) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if name == challengeName(d.name) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return d.Resolver.LookupTXT(ctx, name)
}

func TestADomainWhoseDNSHangsKeepsNoOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.cfg.Resolver = tarpit{f.dns, "slow.test"}
	anna, _ := f.user("anna@example.com")
	shop := f.call("POST", "/projects", anna, map[string]any{"name": "shop"}).want(http.StatusCreated).str("id")
	path := "/projects/" + shop + "/domains"
	for _, name := range []string{"slow.test", "quick.test"} {
		f.call("POST", path, anna, map[string]any{"name": name}).want(http.StatusCreated)
	}
	f.dns.mu.Lock()
	f.dns.cname["quick.test"] = shop + ".example.com."
	f.dns.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.checkDomains(ctx)
	}()
	defer func() { cancel(); <-done }()
	verifiedNow := func() bool {
		for _, item := range f.call("GET", path, anna, nil).want(http.StatusOK).items() {
			if item["name"] == "quick.test" {
				return item["status"] == verified
			}
		}
		return false
	}
	for deadline := time.Now().Add(5 * time.Second); !verifiedNow(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is kept by one whose DNS does not answer")
		}
	}
}
