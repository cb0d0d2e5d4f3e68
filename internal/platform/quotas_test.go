package platform

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

func TestUndeletesAtOnceShareTheQuota(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Quotas.Projects = 2 })
	token, _ := f.user("anna@example.com")
	var deleted []string
	for i := range 40 {
		id := f.call("POST", "/projects", token, map[string]string{"name": fmt.Sprint("shop-", i)}).want(http.StatusCreated).str("id")
		f.call("DELETE", "/projects/"+id, token, nil).want(http.StatusOK)
		deleted = append(deleted, id)
	}
	var callers sync.WaitGroup
	for _, id := range deleted {
		callers.Go(func() { f.call("POST", "/projects/"+id+"/undelete", token, nil) })
	}
	callers.Wait()
	if items := f.call("GET", "/projects", token, nil).want(http.StatusOK).items(); len(items) != 2 {
		t.Errorf("%d projects, the quota is 2", len(items))
	}
}
