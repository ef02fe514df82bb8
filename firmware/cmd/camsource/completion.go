// camsource completion: what Tab completes. The scripts ask camsource itself, by its hidden
// verb __complete, so nothing is said twice.

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newCompletionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion " + strings.Join(shells, "|"),
		Short: "Prints a script that lets Tab complete verbs, flags and values",
		Long: "Prints a script that lets Tab complete verbs, flags and values. bash needs the package\n" +
			"bash-completion. To load it into the running shell, and into each new one:\n\n" +
			"  bash        source <(camsource completion bash)\n" +
			"              camsource completion bash >~/.local/share/bash-completion/completions/camsource\n" +
			"  zsh         source <(camsource completion zsh)\n" +
			"              camsource completion zsh >\"${fpath[1]}/_camsource\"\n" +
			"  fish        camsource completion fish | source\n" +
			"              camsource completion fish >~/.config/fish/completions/camsource.fish\n" +
			"  powershell  camsource completion powershell | Out-String | Invoke-Expression",
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return fmt.Errorf("%w: completion is for one of %s", errUsage, strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(w)
			}
			return root.GenBashCompletionV2(w, true)
		},
	}
}

// completeCamera offers what --camera takes and this machine has, but for names of cameras.
func completeCamera(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	offers := []cobra.Completion{"pattern"}
	for _, pattern := range []string{"/dev/video*", begun + "*.y4m"} {
		files, err := filepath.Glob(pattern)
		if err != nil { // begun has a bracket: nothing to offer
			continue
		}
		offers = append(offers, files...)
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}
