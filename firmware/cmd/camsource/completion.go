// camsource completion: what Tab completes in bash. Nothing but the flags themselves is repeated here.

package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// completionScript completes verbs, flags, and the values of those flags that have a
// short list of them or name a file. SOURCE and BENCH stand for the flags. No template:
// that package alone would make the program 1.4 MB larger.
const completionScript = `_camsource() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words='SOURCE'
	COMPREPLY=()
	case $before in
	--camera) # what contains : is read as several words, so ports with one are left out
		words='pattern'
		for node in /dev/video*; do [ -c "$node" ] && words+=" $node"; done
		COMPREPLY=($(compgen -f -X '!*.y4m' -- "$word")) ;;
	--config | --sdp | --state | --input | --out | --compare)
		COMPREPLY=($(compgen -f -- "$word"))
		return ;;
	--format) words='YUYV MJPG YU12' ;;
	--rtp | --rtcp | --gateway | --key | --size | --fps | --bitrate | --frames | --sizes | --speeds | --threads) return ;;
	*) case ${COMP_WORDS[1]} in
		bench) words='BENCH' ;;
		completion) words='bash' ;;
		*) [ "$COMP_CWORD" != 1 ] || words+=' cameras bench completion' ;;
		esac ;;
	esac
	COMPREPLY+=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _camsource camsource
`

// flagList is "--camera --config …".
func flagList(f *flag.FlagSet) string {
	var all []string
	f.VisitAll(func(fl *flag.Flag) { all = append(all, "--"+fl.Name) })
	return strings.Join(all, " ")
}

// complete prints the script for a shell.
func complete(w io.Writer, args []string) error {
	if len(args) != 1 || args[0] != "bash" {
		return fmt.Errorf("%w: completion: there is one for bash: source <(camsource completion bash)", errUsage)
	}
	source, _ := (&options{}).flags()
	flags := strings.NewReplacer("SOURCE", flagList(source), "BENCH", flagList((&benchOptions{}).flags()))
	_, err := flags.WriteString(w, completionScript)
	return err
}
