package railwaytest

import (
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// model is the project. Its mutex is the server's.
type model struct {
	services    map[string]*service
	volumes     map[string]*volume
	deployments map[string]*deployment
}

type service struct {
	id, name  string
	made      time.Time
	port      int
	variables map[string]string
	settings  map[string]any // of ServiceInstanceUpdateInput
	limits    map[string]any
	runs      []*deployment // the oldest first
}

type volume struct {
	id, name, serviceID, mountPath, region, dir string
	pendingDeletion                             bool
}

func (m *model) init() {
	m.services, m.volumes, m.deployments = map[string]*service{}, map[string]*volume{}, map[string]*deployment{}
}

func (m *model) byName(name string) *service {
	for _, found := range m.services {
		if found.name == name {
			return found
		}
	}
	return nil
}

func (m *model) volumeOf(serviceID string) *volume {
	for _, found := range m.volumes {
		if found.serviceID == serviceID && !found.pendingDeletion {
			return found
		}
	}
	return nil
}

func (s *Server) newService(name string) *service {
	made := &service{
		id: uuid.NewString(), name: name, made: time.Now(), port: freePort(s.t),
		variables: map[string]string{}, settings: map[string]any{}, limits: map[string]any{},
	}
	s.model.services[made.id] = made
	return made
}

func (s *Server) newVolume(serviceID, mountPath, region string) (*volume, error) {
	id := uuid.NewString()
	made := &volume{id: id, name: "volume-" + id[:4], serviceID: serviceID, mountPath: mountPath, region: region, dir: filepath.Join(s.dir, id)}
	s.model.volumes[made.id] = made
	return made, os.MkdirAll(made.dir, 0o700)
}

// What objects of the schema hold.

func (s *Server) instanceObject(of *service) object {
	var latest any
	if len(of.runs) > 0 {
		latest = of.runs[len(of.runs)-1].object()
	}
	active := []object{}
	for _, run := range of.runs {
		if run.status == success && !run.exited {
			active = append(active, run.object())
		}
	}
	return object{
		"serviceId": of.id, "serviceName": of.name, "deletedAt": nil, "latestDeployment": latest, "activeDeployments": active,
	}
}

func (v *volume) instanceObject() object {
	var serviceID any
	if v.serviceID != "" {
		serviceID = v.serviceID
	}
	return object{
		"serviceId": serviceID, "isPendingDeletion": v.pendingDeletion, "deletedAt": nil, "mountPath": v.mountPath,
		"volume": object{"id": v.id, "name": v.name},
	}
}

// connection pages through a list, as Relay has it.
func (s *Server) connection(nodes []object, cursors []string) resolver {
	return func(arguments map[string]any) (any, error) {
		size := s.config.PageSize
		if first, ok := number(arguments["first"]); ok {
			size = min(size, first)
		}
		if last, ok := number(arguments["last"]); ok && last < len(nodes) {
			nodes, cursors = nodes[len(nodes)-last:], cursors[len(cursors)-last:]
		}
		from := 0
		if after, ok := arguments["after"].(string); ok {
			from = slices.IndexFunc(cursors, func(c string) bool { return encode(c) == after }) + 1
		}
		to := min(len(nodes), from+size)
		edges := []object{}
		var end any
		for i := from; i < to; i++ {
			edges = append(edges, object{"cursor": encode(cursors[i]), "node": nodes[i]})
			end = encode(cursors[i])
		}
		return object{"edges": edges, "pageInfo": object{"hasNextPage": to < len(nodes), "hasPreviousPage": from > 0, "endCursor": end}}, nil
	}
}

func encode(cursor string) string { return base64.StdEncoding.EncodeToString([]byte(cursor)) }

func number(value any) (int, bool) {
	switch n := value.(type) {
	case int64:
		return int(n), true
	case float64:
		return int(n), true
	case int:
		return n, true
	}
	return 0, false
}

func (m *model) sortedServices() []*service {
	return slices.SortedFunc(maps.Values(m.services), func(a, b *service) int { return a.made.Compare(b.made) })
}

// What tests look at and do.

// Settings returns what the service of a name was told by serviceInstanceUpdate.
func (s *Server) Settings(name string) map[string]any {
	return look(s, name, func(of *service) map[string]any { return maps.Clone(of.settings) })
}

// Variables returns the variables of a service.
func (s *Server) Variables(name string) map[string]string {
	return look(s, name, func(of *service) map[string]string { return maps.Clone(of.variables) })
}

// Limits returns memoryGB and vCPUs of a service.
func (s *Server) Limits(name string) map[string]any {
	return look(s, name, func(of *service) map[string]any { return maps.Clone(of.limits) })
}

// Runs returns the statuses of all deployments of a service, the oldest first.
func (s *Server) Runs(name string) []string {
	return look(s, name, func(of *service) (statuses []string) {
		for _, run := range of.runs {
			statuses = append(statuses, run.status)
		}
		return statuses
	})
}

func look[T any](s *Server, name string, at func(*service) T) (value T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.model.byName(name); found != nil {
		value = at(found)
	}
	return value
}

// Services returns the names of all services.
func (s *Server) Services() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, found := range s.model.sortedServices() {
		names = append(names, found.name)
	}
	return names
}

// Volumes returns the names of all volumes that are not to be deleted.
func (s *Server) Volumes() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, found := range s.model.volumes {
		if !found.pendingDeletion {
			names = append(names, found.name)
		}
	}
	slices.Sort(names)
	return names
}

// AddService makes a service of somebody else's.
func (s *Server) AddService(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newService(name)
}

// SetStatus makes the latest deployment of a service look as if Railway had got there.
func (s *Server) SetStatus(name, status string) {
	look(s, name, func(of *service) any {
		of.runs[len(of.runs)-1].set(status)
		return nil
	})
}

func portText(of *service) string { return strconv.Itoa(of.port) }
