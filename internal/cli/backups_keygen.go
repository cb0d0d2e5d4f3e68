package cli

import (
	"fmt"

	"github.com/picobase/picobase/internal/objectstore/sealed"
	"github.com/spf13/cobra"
)

func backupsKeygen() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Print a new key for PICOBASE_ENCRYPTION_KEY; nothing is stored",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, recipient, err := sealed.NewIdentity()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]string{"key": key, "recipient": recipient})
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "Keep this where the backups are not: without it nobody can read them, you included.")
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
