package cli

import (
	"fmt"
	"os"

	"github.com/picobase/picobase/internal/objectstore/sealed"
	"github.com/picobase/picobase/internal/secret"
	"github.com/spf13/cobra"
)

func backupsKeygen() *cobra.Command {
	var fromEnv, asJSON bool
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Print a new key for PICOBASE_ENCRYPTION_KEY; nothing is stored",
		Long: "Print a new key for PICOBASE_ENCRYPTION_KEY; nothing is stored.\n\n" +
			"With --from-env, print the age identity that PicoBase uses for the key in the\n" +
			"environment, with which the age program opens what is in the store.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := newKey(fromEnv)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]string{"key": key})
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "Keep this where the backups are not: without it nobody can read them, you included.")
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key)
			return err
		},
	}
	cmd.Flags().BoolVar(&fromEnv, "from-env", false, "print the identity of the key in the environment instead")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func newKey(fromEnv bool) (string, error) {
	if !fromEnv {
		key, _, err := sealed.NewIdentity()
		return key, err
	}
	given, err := secret.FromEnv(os.LookupEnv, "PICOBASE_ENCRYPTION_KEY")
	if err != nil {
		return "", err
	}
	if given.IsZero() {
		return "", Usage("--from-env: PICOBASE_ENCRYPTION_KEY is not set")
	}
	key, err := sealed.ParseKey(given.Reveal())
	if err != nil {
		return "", Usage("PICOBASE_ENCRYPTION_KEY %w", err)
	}
	return key, nil
}
