package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/picobase/picobase/internal/cli"
	"github.com/picobase/picobase/internal/tenant"
	"github.com/spf13/cobra"
)

// newWipe returns the command that empties a data folder. A Swarm's manager cannot
// remove a volume on another node, so that the tenant's image must be able to.
func newWipe(cfg *tenant.Config) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:    "wipe",
		Short:  "Remove everything in the data folder, for deleted projects",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes || !cmd.Flags().Changed("dir") {
				return cli.Usage("wipe removes a project's data: name its folder with --dir, and add --yes")
			}
			return wipe(cfg.DataDir)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func wipe(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return errors.Join(errs...)
}
