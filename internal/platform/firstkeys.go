package platform

func newFirstKeys() (Keys, string, error) { return Keys{"todo", "todo"}, "", nil }

func (p *Platform) branchSource(id string) (string, error) { return id, nil }
