package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/picobase/picobase/templates"
	"github.com/spf13/cobra"
)

type initOptions struct {
	Dir, Template string
	JSON          bool
}

// NewInit returns the command init.
func NewInit() *cobra.Command {
	var o initOptions
	var yes bool
	names := strings.Join(templates.Names(), ", ")
	cmd := &cobra.Command{
		Use:   "init [dir]",
		Short: "Begin an app from a template (" + names + ")",
		Long: "Begin an app from a template (" + names + "): sign-up and sign-in, a list that is live, and the\n" +
			"migration that makes its collection. The folder must be empty, or not be there yet.",
		Example: "  picobase init shop --template react",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return Usage("%s takes one folder", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir := cmd.Flag("dir"); dir != nil && dir.Changed {
				return Usage("--dir is for data: give the folder of the app as an argument")
			}
			o.Dir = "."
			if len(args) == 1 {
				o.Dir = args[0]
			}
			if o.Template == "" {
				// First, so that nobody is asked in vain.
				err := checkEmpty(o.Dir)
				if err != nil {
					return err
				}
				if o.Template, err = askTemplate(cmd, yes); err != nil {
					return err
				}
			}
			return initApp(o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.Template, "template", "t", "", names)
	flags.BoolVar(&yes, "yes", false, "ask nothing")
	flags.BoolVar(&o.JSON, "json", false, "print JSON")
	return cmd
}

// askTemplate asks which template to use, by number or name.
func askTemplate(cmd *cobra.Command, yes bool) (string, error) {
	names := templates.Names()
	missing := Usage("which template? Add --template %s", strings.Join(names, "|"))
	if file, ok := cmd.InOrStdin().(*os.File); yes || ok && !isatty.IsTerminal(file.Fd()) {
		return "", missing
	}
	for i, name := range names {
		fmt.Fprintf(cmd.ErrOrStderr(), "  %d  %s\n", i+1, name)
	}
	fmt.Fprint(cmd.ErrOrStderr(), "Template: ")
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	answer = strings.TrimSpace(answer)
	if err != nil && answer == "" {
		return "", missing
	}
	if i, err := strconv.Atoi(answer); err == nil && i >= 1 && i <= len(names) {
		return names[i-1], nil
	}
	return answer, nil
}

// initApp copies the template into the folder.
func initApp(o initOptions, out, messages io.Writer) error {
	template, ok := templates.Open(o.Template)
	if !ok {
		return Usage("there is no template %q: choose %s", o.Template, strings.Join(templates.Names(), ", "))
	}
	if err := checkEmpty(o.Dir); err != nil {
		return err
	}
	name, err := packageName(o.Dir)
	if err != nil {
		return err
	}
	files, err := copyTemplate(template, o.Dir, name)
	if err != nil {
		return err
	}

	steps := []string{"npm install", `picobase dev --run "npm run dev"`}
	if o.Dir != "." {
		steps = append([]string{"cd " + quoteShell(o.Dir)}, steps...)
	}
	if o.JSON {
		return printJSON(out, map[string]any{"dir": o.Dir, "template": o.Template, "name": name, "files": files, "next": steps})
	}
	_, err = fmt.Fprintf(messages, "Made the app %s from the template %s (%d files). Go on with:\n\n  %s\n\n",
		name, o.Template, len(files), strings.Join(steps, "\n  "))
	return err
}

// checkEmpty refuses a folder with anything in it but a fresh repository.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	const show = 5
	var found []string
	for _, entry := range entries {
		if entry.Name() != ".git" {
			found = append(found, entry.Name())
		}
	}
	if len(found) == 0 {
		return nil
	}
	if len(found) > show {
		found = append(found[:show], fmt.Sprintf("%d more", len(found)-show))
	}
	return &Error{
		Code: ExitFailed,
		Err:  fmt.Errorf("%s is not empty: %s", dir, strings.Join(found, ", ")),
		Hint: "Choose another folder: picobase init NAME",
	}
}

var notInPackageNames = regexp.MustCompile(`[^a-z0-9-]+`)

// packageName makes a name that npm takes out of the folder's.
func packageName(dir string) (string, error) {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	name := strings.Trim(notInPackageNames.ReplaceAllString(strings.ToLower(filepath.Base(whole)), "-"), "-")
	if name == "" || name == "node-modules" {
		name = "app"
	}
	return name, nil
}

// copyTemplate writes the files and returns their paths. It overwrites none.
func copyTemplate(template fs.FS, dir, name string) (files []string, err error) {
	err = fs.WalkDir(template, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(file))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755) //nolint:gosec // source code, for everybody
		}
		content, err := fs.ReadFile(template, file)
		if err != nil {
			return err
		}
		if file == "package.json" {
			content = firstName.ReplaceAll(content, []byte(`"name": "`+name+`"`))
		}
		files = append(files, file)
		return writeNew(target, content)
	})
	return files, err
}

var firstName = regexp.MustCompile(`"name": "picobase-\w+"`)

func writeNew(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // source code, for everybody
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// quoteShell writes a path so that it can be pasted into the shells of all systems.
func quoteShell(path string) string {
	if strings.ContainsAny(path, " \t'&;()") {
		return `"` + path + `"`
	}
	return path
}
