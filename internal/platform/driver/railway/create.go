package railway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/secret"
)

// Create implements driver.Driver: a service without a source, so that nothing is
// deployed, then its volume, then its settings. What an earlier call has made is
// found and gone on with.
func (d *Driver) Create(ctx context.Context, spec driver.Spec) error {
	if err := check(spec); err != nil {
		return err
	}
	release, err := d.locks.acquire(ctx, spec.ID)
	if err != nil {
		return err
	}
	defer release()
	defer d.changed(spec.ID)
	instance, err := d.find(ctx, spec.ID)
	var serviceID string
	switch existed := err == nil; {
	case existed:
		serviceID = instance.ServiceId
	case errors.Is(err, driver.ErrNotFound):
		if serviceID, err = d.newService(ctx, spec.ID); err != nil {
			return err
		}
	default:
		return err
	}
	if !d.config.WithoutVolumes {
		if err := d.ensureVolume(ctx, spec, serviceID, instance == nil); err != nil {
			return err
		}
	}
	return d.configure(ctx, spec, serviceID, instance != nil)
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func check(spec driver.Spec) error {
	if err := driver.CheckID(spec.ID); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		value := spec.Env[name].Reveal()
		if !variableName.MatchString(name) || strings.Contains(value, "\x00") {
			return fmt.Errorf("railway: variable %q of tenant %s: names are of letters, digits and _, values without NUL", name, spec.ID)
		}
		// Railway would put the variables of other services in.
		if strings.Contains(value, "${{") {
			return fmt.Errorf("railway: variable %s of tenant %s holds ${{, which Railway reads as a reference to another variable: "+
				"choose a value without it", name, spec.ID)
		}
	}
	return nil
}

func (d *Driver) newService(ctx context.Context, id string) (serviceID string, err error) {
	name := serviceName(id)
	made, err := createService(ctx, d.api, d.config.ProjectID, d.config.EnvironmentID, name)
	if err != nil {
		return "", d.explain(err)
	}
	if made.ServiceCreate.Name != name {
		// Its address in the private network would be another one.
		_, err := deleteService(ctx, d.api, d.config.EnvironmentID, made.ServiceCreate.Id)
		return "", errors.Join(fmt.Errorf("railway: the new service was named %s, not %s: is that name taken in the project?",
			made.ServiceCreate.Name, name), err)
	}
	d.remember(id, made.ServiceCreate.Id)
	return made.ServiceCreate.Id, nil
}

// ensureVolume makes the volume, which a new service cannot have yet.
func (d *Driver) ensureVolume(ctx context.Context, spec driver.Spec, serviceID string, isNew bool) error {
	var has []volume
	if !isNew {
		var err error
		if has, err = d.volumes(ctx, serviceID); err != nil {
			return err
		}
	}
	if len(has) == 0 {
		made, err := createVolume(ctx, d.api, d.config.ProjectID, d.config.EnvironmentID, serviceID, mountPath, optional(d.region(spec)))
		if err != nil {
			return err
		}
		has = append(has, volume{id: made.VolumeCreate.Id, name: made.VolumeCreate.Name})
	}
	if has[0].name == serviceName(spec.ID) {
		return nil
	}
	_, err := renameVolume(ctx, d.api, has[0].id, serviceName(spec.ID))
	return err
}

func (d *Driver) configure(ctx context.Context, spec driver.Spec, serviceID string, existed bool) error {
	variables := map[string]string{}
	for name, value := range spec.Env {
		variables[name] = value.Reveal()
	}
	variables["PORT"] = port
	variables["RAILWAY_RUN_UID"] = "0" // volumes belong to root, the image's user is another
	var regions *map[string]any
	if region := d.region(spec); region != "" {
		regions = &map[string]any{region: map[string]any{"numReplicas": 1}}
	}
	// Limits that were never set need no call to lift them.
	withLimits := existed || spec.Memory > 0 || spec.CPU > 0
	_, err := configureService(ctx, d.api, d.config.ProjectID, d.config.EnvironmentID, serviceID, variables,
		d.config.Image, d.config.StartCommand, int(math.Ceil(d.config.Drain.Seconds())), regions,
		withLimits, limit(float64(spec.Memory)/1e9), limit(spec.CPU))
	return scrub(err, spec.Env)
}

func (d *Driver) region(spec driver.Spec) string {
	if spec.Region != "" {
		return spec.Region
	}
	return d.config.Region
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func limit(amount float64) *float64 {
	if amount <= 0 {
		return nil
	}
	return &amount
}

// scrub keeps the tenant's secrets out of an error: a GraphQL server may quote the
// variables that it refuses.
func scrub(err error, env map[string]secret.String) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, value := range env {
		if v := value.Reveal(); len(v) >= 4 {
			text = strings.ReplaceAll(text, v, "******")
		}
	}
	if text == err.Error() {
		return err
	}
	return &scrubbedError{text: text, err: err}
}

type scrubbedError struct {
	text string
	err  error
}

func (e *scrubbedError) Error() string { return e.text }

// Is and As see through it; Unwrap would give the text back.
func (e *scrubbedError) Is(target error) bool { return errors.Is(e.err, target) }

// As lets errors.As find what the error wraps.
func (e *scrubbedError) As(target any) bool { return errors.As(e.err, target) }
