package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
)

// asker asks before something that goes on without it.
type asker struct {
	cmd *cobra.Command
	yes bool
}

// may asks the question. Without a terminal, and after a no, it says what there is
// to do otherwise.
func (a asker) may(question, otherwise string, notes io.Writer) bool {
	if a.yes {
		return true
	}
	input := a.cmd.InOrStdin()
	if file, ok := input.(*os.File); !ok || isatty.IsTerminal(file.Fd()) {
		fmt.Fprint(notes, question+" [y/N] ")
		answered := make(chan string, 1)
		go func() {
			answer, _ := bufio.NewReader(input).ReadString('\n') // no answer is a no
			answered <- strings.ToLower(strings.TrimSpace(answer))
		}()
		select {
		case <-a.cmd.Context().Done():
			return false
		case answer := <-answered:
			if answer == "y" || answer == "yes" {
				return true
			}
		}
	}
	fmt.Fprintln(notes, otherwise)
	return false
}
